package main

import (
	"fmt"
	"io"
	"time"
	"unicode/utf8"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/replay"
	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/terminal"
)

// eventTable prints events as lines whose columns are aligned.
type eventTable struct{ server, name int }

// tableTime is local.
const tableTime = "2006-01-02 15:04:05.000"

func (t *eventTable) event(w io.Writer, e *replay.Event) error {
	if e.IsGap() {
		return t.gap(w, e)
	}
	fields := fieldsOf(e.Data)
	text := pairs(mainFields(fields), 6)
	if fields == nil {
		text = " " + terminal.Printable(string(e.Data[:min(len(e.Data), 200)]))
	}
	return t.line(w, e.Read.Local().Format(tableTime), e.Server, e.Name, text)
}

// gap marks a hole.
func (t *eventTable) gap(w io.Writer, e *replay.Event) error {
	g := e.Gap()
	text := " " + g.Reason + ", " + g.Lost + " lost, from " + shortTime(g.From) + " to " + shortTime(g.To)
	if g.Restarted != "" {
		text += ", Asterisk restarted: " + g.Restarted
	}
	return t.line(w, e.Read.Local().Format(tableTime), e.Server, "=== GAP ===", terminal.Printable(text))
}

// missing marks a hole that nobody tells of.
func (t *eventTable) missing(w io.Writer, e *replay.Event, n uint64) {
	text := fmt.Sprintf(" %d left out by the bridge's filters, or gone from the stream", n)
	_ = t.line(w, e.Read.Local().Format(tableTime), e.Server, "=== MISSING ===", text) // a bufio.Writer keeps the error
}

func (t *eventTable) line(w io.Writer, at, server, name, text string) error {
	t.server = max(t.server, utf8.RuneCountInString(server), 4)
	t.name = max(t.name, utf8.RuneCountInString(name), 24)
	_, err := fmt.Fprintf(w, "%s  %-*s  %-*s %s\n", at, t.server, terminal.Printable(server), t.name, terminal.Printable(name), text)
	return err
}

// shortTime is the local time of day of an RFC 3339 time.
func shortTime(text string) string {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return text
	}
	return t.Local().Format("15:04:05.000")
}
