package replay

import (
	"bytes"
	"strconv"
	"strings"
	"time"
)

// Call gathers the events of one call. Servers are apart: two may have the same
// Linkedid. First Learn sees all events, then Has tells which are the call's:
// a channel may join it after it has been there for a while.
type Call struct {
	linkedid string
	servers  map[string]*members
}

// members is what belongs to the call on one server.
type members struct {
	ids     map[string]bool // Uniqueids of channels; true once it has hung up
	up      int             // of them that have not
	bridges map[string]bool
	names   map[string]*span // of channels; some technologies use one again
}

// span is when a name was the call's.
type span struct{ from, to time.Time }

// nameSlack is how long after its last event a channel may be named in an
// event that has no Uniqueid.
const nameSlack = 5 * time.Second

// NewCall returns the call that began with the channel of this Uniqueid, which
// Asterisk calls the Linkedid.
func NewCall(linkedid string) *Call {
	return &Call{linkedid: linkedid, servers: make(map[string]*members)}
}

// Began is when the call began by its Linkedid, which has Asterisk's clock in
// seconds; false if it does not tell.
func (c *Call) Began() (time.Time, bool) {
	id := c.linkedid[strings.LastIndexByte(c.linkedid, '-')+1:] // without a systemname
	text, _, _ := strings.Cut(id, ".")
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil || seconds < 1e9 || seconds > 1e11 {
		return time.Time{}, false
	}
	return time.Unix(seconds, 0), true
}

// Learn takes in what e says of the call's channels and bridges, and reports
// whether it said anything of the call.
func (c *Call) Learn(e *Event) (learned bool) {
	m := c.servers[e.Server]
	if !bytes.Contains(e.Data, []byte(c.linkedid)) && (m == nil || e.Name != "Hangup") {
		return false
	}
	fields := Fields(e.Data)
	for _, suffix := range []string{"linkedid", "uniqueid"} { // some Asterisks have no Linkedid in their events
		for _, f := range fields {
			if prefix, ok := cutSuffixFold(f.Name, suffix); ok && first(f) == c.linkedid {
				c.of(e.Server).learn(fields, prefix, e.Read)
				learned = true
			}
		}
	}
	if e.Name == "Hangup" {
		learned = c.servers[e.Server].hangUp(fields) || learned
	}
	return learned
}

// hangUp takes in the end of a channel, and reports whether it is the call's. m may
// be nil: nothing is known of the call.
func (m *members) hangUp(fields []Field) bool {
	for _, f := range fields {
		if m == nil || !strings.EqualFold(f.Name, "Uniqueid") {
			continue
		}
		hungUp, ours := m.ids[first(f)]
		if ours && !hungUp {
			m.ids[first(f)] = true
			m.up--
		}
		return ours
	}
	return false
}

// over reports whether every channel that the call had on e's server has hung up.
func (c *Call) over(e *Event) bool {
	m := c.servers[e.Server]
	return m != nil && m.up == 0
}

func (c *Call) of(server string) *members {
	m := c.servers[server]
	if m == nil {
		m = &members{ids: map[string]bool{c.linkedid: false}, up: 1, bridges: map[string]bool{}, names: map[string]*span{}}
		c.servers[server] = m
	}
	return m
}

// learn notes the channel whose headers begin with prefix, such as Dest, and
// the bridge that it is in.
func (m *members) learn(fields []Field, prefix string, at time.Time) {
	for _, f := range fields {
		value := first(f)
		switch {
		case value == "":
		case strings.EqualFold(f.Name, prefix+"Uniqueid"):
			if _, known := m.ids[value]; !known {
				m.ids[value] = false
				m.up++
			}
		case strings.EqualFold(f.Name, prefix+"Channel"):
			if m.names[value] == nil {
				m.names[value] = &span{from: at}
			}
			m.names[value].to = at
		case prefix == "" && strings.EqualFold(f.Name, "BridgeUniqueid"):
			m.bridges[value] = true
		}
	}
}

// Has reports whether e is of the call: it names one of its channels or, if it
// names none by its Uniqueid, one of its bridges.
func (c *Call) Has(e *Event) bool {
	m := c.servers[e.Server]
	if m == nil || !m.mentioned(e.Data, c.linkedid) {
		return false
	}
	identified, related := false, false
	for _, f := range Fields(e.Data) {
		name, value := strings.ToLower(f.Name), first(f)
		switch {
		case value == "":
		case strings.HasSuffix(name, "bridgeuniqueid"):
			related = related || m.bridges[value]
		case strings.HasSuffix(name, "linkedid"):
			if value == c.linkedid {
				return true
			}
			identified = true
		case strings.HasSuffix(name, "uniqueid"):
			if _, ours := m.ids[value]; ours {
				return true
			}
			identified = true
		case strings.HasSuffix(name, "channel"):
			s := m.names[value]
			related = related || s != nil && !e.Read.Before(s.from) && !e.Read.After(s.to.Add(nameSlack))
		}
	}
	return related && !identified
}

// mentioned spares most events the reading of their fields.
func (m *members) mentioned(data []byte, linkedid string) bool {
	if bytes.Contains(data, []byte(linkedid)) {
		return true
	}
	for id := range m.ids {
		if bytes.Contains(data, []byte(id)) {
			return true
		}
	}
	for id := range m.bridges {
		if bytes.Contains(data, []byte(id)) {
			return true
		}
	}
	for name := range m.names {
		// The encoder escapes no slash; a name with a quote is not found.
		if bytes.Contains(data, []byte(name)) {
			return true
		}
	}
	return false
}

// Size returns how many channels and bridges the call has on a server.
func (c *Call) Size(server string) (channels, bridges int) {
	m := c.servers[server]
	if m == nil {
		return 0, 0
	}
	return len(m.names), len(m.bridges)
}

func first(f Field) string {
	if len(f.Values) == 0 {
		return ""
	}
	return f.Values[0]
}

func cutSuffixFold(s, suffix string) (before string, ok bool) {
	at := len(s) - len(suffix)
	if at < 0 || !strings.EqualFold(s[at:], suffix) {
		return "", false
	}
	return s[:at], true
}
