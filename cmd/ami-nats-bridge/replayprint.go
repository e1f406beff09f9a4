package main

import (
	"fmt"
	"io"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/replay"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/telling"
	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/terminal"
)

// tableTime is local.
const tableTime = "2006-01-02 15:04:05.000"

// event prints an event, or the gap that a Gap stands for.
func (t *messageTable) event(w io.Writer, e *replay.Event, layout string) error {
	r := row{at: e.Read.Local().Format(layout), server: e.Server, name: e.Name}
	switch fields := fieldsOf(e.Data); {
	case e.IsGap():
		r.name, r.style, r.says = gapName, terminal.Note, gapLine(e.Gap(), e.Read)
	case fields == nil:
		r.says = rawLine(e.Data)
	default:
		r.says = fieldLine(telling.Shown(e.Name, fields))
	}
	return t.print(w, r)
}

// gapName stands in place of an event's name.
const gapName = "=== GAP ==="

// gapLine says what is missing, on a line that is of the time at.
func gapLine(g replay.Gap, at time.Time) terminal.Line {
	text := " " + g.Reason + ", " + g.Lost + " lost, from " + shortTime(g.From, at) + " to " + shortTime(g.To, at)
	if g.Restarted != "" {
		text += ", Asterisk restarted: " + g.Restarted
	}
	return terminal.Line{{Style: terminal.Note, Text: terminal.Printable(text)}}
}

// missing marks a gap that no Gap explains.
func (t *messageTable) missing(w io.Writer, e *replay.Event, n uint64) {
	text := fmt.Sprintf(" %d left out by the bridge's filters, or gone from the stream", n)
	_ = t.print(w, row{at: e.Read.Local().Format(tableTime), server: e.Server, name: "=== MISSING ===", style: terminal.Note,
		says: terminal.Line{{Style: terminal.Note, Text: text}}}) // a bufio.Writer keeps the error
}

// shortTime is the local time that text, RFC 3339, is, with its day if that is not that of about.
func shortTime(text string, about time.Time) string {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return text
	}
	return t.Local().Format(layoutOf(t, about))
}
