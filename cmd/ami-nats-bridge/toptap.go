package main

import (
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/replay"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/telling"
	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/terminal"
	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/top"
)

// tapping returns how top sees the events of a server: filtered and told as tail does, but
// for Gaps, which are always seen.
func tapping(prefix string) func(server, filter string) (*top.Tapping, error) {
	return func(server, filter string) (*top.Tapping, error) {
		var names []string
		for name := range strings.FieldsFuncSeq(filter, func(r rune) bool { return r == ',' || r == '|' || r == ' ' }) {
			names = append(names, name)
		}
		f, err := (&tailCmd{Event: names, Server: []string{server}}).filter(prefix)
		if err != nil {
			return nil, err
		}
		return &top.Tapping{Subject: prefix + ".events." + server + ".*", Note: strings.Join(f.notes, "; "), Event: func(m *nats.Msg) (top.Event, bool) {
			msg := &replay.Message{Subject: m.Subject, Header: m.Header, Data: m.Data}
			if !strings.HasSuffix(m.Subject, ".Gap") && !f.takes(msg) { // a hole is seen whatever is looked for
				return top.Event{}, false
			}
			return eventOf(msg, prefix), true
		}}, nil
	}
}

// eventOf is an event as top shows it. It keeps nothing of m.
func eventOf(m *replay.Message, prefix string) top.Event {
	_, server, name := subjectParts(m.Subject, prefix)
	read, err := time.Parse(time.RFC3339, m.Header.Get("Ami-Time"))
	if err != nil {
		read = time.Now()
	}
	event := &replay.Event{Message: m, Server: server, Name: name, Read: read}
	fields := fieldsOf(m.Data)
	e := top.Event{At: read, Name: name}
	switch {
	case event.IsGap():
		e.Gap, e.Name, e.Says = true, "GAP", lineText(gapLine(event.Gap(), event.Read))
	case fields == nil:
		e.Says = lineText(rawLine(m.Data))
	default:
		e.Says = lineText(fieldLine(telling.Shown(name, fields)))
	}
	for _, f := range fields {
		if f.Value != "" {
			e.Fields = append(e.Fields, top.Field{Name: f.Name, Value: f.Value})
		}
	}
	return e
}

// lineText is a line without its colours.
func lineText(l terminal.Line) string {
	var b strings.Builder
	for _, piece := range l {
		b.WriteString(piece.Text)
	}
	return strings.TrimSpace(b.String())
}
