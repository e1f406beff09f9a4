package view

import (
	"encoding/json"
	"math"
	"slices"
	"time"
)

// node is what is known of one bridge process.
type node struct {
	name     string
	lastSeen time.Time // its newest word, by the caller's clock
	ownWord  bool      // it has told of itself, not only of its servers
	peer     *Peer     // as another bridge knows it; nil: none has said so
	version  string
	up       time.Duration
	names    map[string]bool // of its servers
	ready    int

	interval    time.Duration // 0: it does not say
	outboxTotal int64         // 0: it does not say
	held        int64         // bytes in all its outboxes, at the last Tick
	growth      float64       // of them, bytes a second

	connections []Connection
	delivery    Delivery
	refusals    *Refusals // nil: it does not say
	state       Kept

	// offs are by how much its clock seemed off of late, with the way of the message in it, as the caller's clock was at first.
	offs []time.Duration
	// begun is when the process began by its clock, from which it is seen whether that was set, and least the least of offs
	// since begun is known, at leastAt; begun is zero where it is not known.
	begun   time.Time
	least   time.Duration
	leastAt time.Time
}

// observe notes a message made at, by the node's clock.
func (n *node) observe(m *Model, at stamp, arrived arrival) *news {
	if !arrived.kept {
		if len(n.offs) == skewPast {
			n.offs = slices.Delete(n.offs, 0, 1)
		}
		off := arrived.now.Sub(at.Time) - m.set
		n.offs = append(n.offs, off)
		n.least, n.leastAt = min(off, n.leastOff(arrived.now)), arrived.now
	}
	// By how long ago that was, so that it has a reading of the monotonic clock: the caller's
	// own may be set.
	ago := max(0, arrived.now.Sub(at.Add(n.skew(m))))
	if arrived.kept {
		ago = max(ago, arrived.now.Sub(arrived.stored))
	}
	about := &news{m: m, node: n, at: arrived.now.Add(-ago), kept: arrived.kept}
	if about.at.After(n.lastSeen) {
		n.lastSeen = about.at
	}
	return about
}

// skew is what to add to the node's time to have the caller's: the least that was seen
// of late, for a message may be late but not early; 0 if it is small. While it is known that the node's clock was not set it
// is the least of all: else all messages being late for a while would look as if that had been.
func (n *node) skew(m *Model) time.Duration {
	if len(n.offs) == 0 {
		return 0
	}
	if least := min(slices.Min(n.offs), n.leastOff(m.now)) + m.set; least.Abs() > skewSmall {
		return least
	}
	return 0
}

// skew is that of the node that speaks for s, by whose clock what is up at it is.
func (s *server) skew(m *Model) time.Duration {
	if n := m.nodes[s.node]; n != nil {
		return n.skew(m)
	}
	return 0
}

// leastOff is the least of how far the clock seemed off, by what it may have drifted since.
func (n *node) leastOff(now time.Time) time.Duration {
	if n.begun.IsZero() || n.leastAt.IsZero() {
		return math.MaxInt64
	}
	return n.least + now.Sub(n.leastAt)/driftPart
}

// began notes when the process began, by its own word. Another time is that of another process, or its clock was set: what was
// seen of that is of no use any more.
func (n *node) began(msg *nodeMsg) {
	begun := msg.At.Add(-time.Duration(min(max(msg.UptimeS, 0), 1<<33)) * time.Second)
	if begun.Sub(n.begun).Abs() > skewSmall {
		n.begun, n.leastAt, n.offs = begun, time.Time{}, nil
	}
}

func (m *Model) nodeStatus(name string, payload []byte, arrived arrival) bool {
	var msg nodeMsg
	if !isName(name, 64) || json.Unmarshal(payload, &msg) != nil || msg.At.IsZero() {
		return false
	}
	n := m.node(name)
	if n == nil {
		return false
	}
	if !arrived.kept {
		n.began(&msg)
	}
	n.take(n.observe(m, msg.At, arrived), &msg)
	return true
}

func (n *node) take(about *news, msg *nodeMsg) {
	n.ownWord = true
	n.version, n.up = cleanTo(msg.Version, 64), time.Duration(min(max(msg.UptimeS, 0), 1<<33))*time.Second
	n.interval, n.outboxTotal = millis(msg.StatusIntervalMS), max(msg.OutboxTotalBytes, 0)
	n.names = make(map[string]bool)
	for _, name := range msg.Servers {
		if isName(name, 32) && len(n.names) < maxServers && about.m.server(name) != nil {
			n.names[name] = true
		}
	}
	n.ready = len(msg.Ready)
	n.state = Kept{State: cleanTo(msg.State.State, 16), Reason: clean(msg.State.Reason)}
	n.refusals = about.refusals(&msg.refusedMsg)
	n.takeConnections(about, msg)
	n.takeDelivery(about, msg)
}

// connected is what nats.go says of a connection that is up.
const connected = "CONNECTED"

func (n *node) takeConnections(about *news, msg *nodeMsg) {
	both := cleanTo(msg.NATS, 32) // of a connection that is not told of by itself
	before := n.connections
	n.connections = []Connection{}
	for _, name := range []string{"events", "control"} {
		c := Connection{Name: name, State: cleanTo(msg.Connections[name], 32), Since: Time{about.at}}
		if c.State == "" {
			c.State = both
		}
		if c.State == "" {
			continue
		}
		i := slices.IndexFunc(before, func(b Connection) bool { return b.Name == name })
		switch {
		case i < 0:
			c.Since = Time{} // as it was found
		case (before[i].State == connected) == (c.State == connected):
			c.Since = before[i].Since
		case c.State == connected:
			about.m.changes.add(change(about.at, "", n.name, name, "NATS "+name+" is up"))
		default:
			about.m.changes.add(change(about.at, "", n.name, name, "NATS "+name+" is down"))
		}
		n.connections = append(n.connections, c)
	}
}

func (n *node) takeDelivery(about *news, msg *nodeMsg) {
	before := n.delivery.Streams
	n.delivery = Delivery{
		Mode: cleanTo(msg.Delivery, 32), Way: cleanTo(msg.Way, 32), AuditQueued: msg.AuditQueued, AuditLost: msg.AuditLost,
		LogLinesLost: msg.LogLinesLost, RequestsDropped: msg.RequestsDropped, RepliesDenied: msg.RepliesDenied, Unanswered: cleanAll(msg.Unanswered), Streams: []Stream{},
	}
	if msg.Leaf != nil {
		n.delivery.Leaf = &Leaf{Connected: msg.Leaf.Connected, Since: Time{about.shift(msg.Leaf.Since)}}
	}
	for _, s := range msg.Streams[:min(len(msg.Streams), maxStreams)] {
		s = Stream{
			Name: cleanTo(s.Name, 64), State: cleanTo(s.State, 32), Error: clean(s.Error), Messages: s.Messages, Bytes: s.Bytes,
			Since: shifted(about, s.Since),
		}
		i := slices.IndexFunc(before, func(b Stream) bool { return b.Name == s.Name })
		if i >= 0 && before[i].State != s.State {
			about.m.changes.add(change(about.at, "", n.name, "stream "+s.Name, s.Name+": "+s.State))
		}
		n.delivery.Streams = append(n.delivery.Streams, s)
	}
}

func shifted(about *news, t Time) Time { return Time{about.shift(stamp(t))} }

// cleanAll is a bounded list of names.
func cleanAll(all []string) []string {
	list := []string{}
	for _, s := range all[:min(len(all), maxStreams)] {
		list = append(list, cleanTo(s, 64))
	}
	return list
}

// events says whether the node's connection for events is up, and since when.
func (n *node) events() (up bool, since time.Time) {
	for _, c := range n.connections {
		if c.Name == "events" {
			return c.State == connected, c.Since.Time
		}
	}
	return true, time.Time{} // nothing is known against it
}
