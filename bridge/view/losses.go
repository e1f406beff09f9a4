package view

import "slices"

// Loss is something that a bridge has lost or cannot do, in words.
type Loss struct{ Name, Value string }

// Losses are those of b, of which nothing is said while all is well: the page and the
// terminal say the same of them.
func (b *Bridge) Losses() (all []Loss) {
	d := &b.Delivery
	for _, one := range []struct {
		name string
		n    uint64
	}{
		{"Audit records lost", d.AuditLost}, {"Audit records wait", d.AuditQueued},
		{"Requests dropped", d.RequestsDropped}, {"Replies denied", d.RepliesDenied}, {"Log lines lost", d.LogLinesLost},
	} {
		if one.n > 0 {
			all = append(all, Loss{one.name, Count(one.n)})
		}
	}
	if slices.ContainsFunc(b.Connections, func(c Connection) bool { return c.Name == "control" && c.State != connected }) {
		return all // no request arrives: the verdict says that NATS is down
	}
	for _, name := range d.Unanswered {
		all = append(all, Loss{"Requests for " + name, "do not arrive"})
	}
	return all
}
