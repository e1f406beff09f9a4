package delivery

import (
	"strings"

	"github.com/nats-io/nats.go"
)

// cloudEvents makes messages CloudEvents in binary mode, as the NATS protocol
// binding of CloudEvents 1.0.3 has it: each attribute a header, the data type
// among them. No value needs the binding's percent-encoding: names are subject
// tokens.
type cloudEvents struct {
	kind []byte // of the event described last
}

const cloudEventType = "org.asterisk.ami."

// sourceURI is the source of a server's events.
func sourceURI(server string) string { return "/asterisk/" + server }

// describe adds the headers to m, which has the bridge's own and is of the source
// with that URI. Their strings are valid until the next call.
func (c *cloudEvents) describe(m *nats.Msg, uri string) {
	c.kind = append(append(c.kind[:0], cloudEventType...), m.Subject[strings.LastIndexByte(m.Subject, '.')+1:]...)
	h := m.Header
	setHeader(h, "ce-specversion", "1.0")
	setHeader(h, "ce-datacontenttype", "application/json")
	setHeader(h, "ce-id", h["Nats-Msg-Id"][0])
	setHeader(h, "ce-time", h["Ami-Time"][0])
	setHeader(h, "ce-source", uri)
	setHeader(h, "ce-type", borrow(c.kind))
}

// setHeader is Header.Set without an allocation once the name is there.
func setHeader(h nats.Header, name, value string) {
	if values := h[name]; len(values) == 1 {
		values[0] = value
		return
	}
	h[name] = []string{value}
}
