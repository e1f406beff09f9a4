package reply

import (
	"slices"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/redact"
	"github.com/ami-nats-bridge/ami-nats-bridge/correlation"
)

// Mask hides secrets in what Asterisk said. It is set up for one request, and
// used by whoever delivers its reply, one at a time. Its zero value hides them.
type Mask struct {
	Off   bool
	Names []string // of the headers that were hidden, each once
}

// Result hides secrets in the headers of r's response and of its events. Output,
// the lines of a Command, stays: they have no names.
func (m *Mask) Result(r *correlation.Result) {
	if m.Off {
		return
	}
	var inFields, inEvents []string
	r.Fields, inFields = redact.Headers(r.Fields)
	r.Events, inEvents = redact.Headers(r.Events)
	m.add(inFields)
	m.add(inEvents)
}

// part returns an event of a stream without secrets, in bytes of its own, and
// the names of what was hidden in it.
func (m *Mask) part(event []byte) (own []byte, names []string) {
	if !m.Off {
		if own, names = redact.Headers(event); names != nil {
			m.add(names)
			return own, names
		}
	}
	return slices.Clone(event), nil
}

func (m *Mask) add(names []string) {
	for _, name := range names {
		if !slices.Contains(m.Names, name) {
			m.Names = append(m.Names, name)
		}
	}
}
