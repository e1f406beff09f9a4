package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/terminal"
)

// messageTable prints messages as lines whose columns are aligned: when, of which
// server, what it is, and what matters of it.
type messageTable struct {
	screen       terminal.Screen
	server, name int // widths
}

// row is a message to be shown.
type row struct {
	at, server, name string
	style            terminal.Style // of the name
	says             terminal.Line
}

// print writes r.
func (t *messageTable) print(w io.Writer, r row) error {
	t.server = max(t.server, terminal.Width(r.server), 4)
	t.name = max(t.name, terminal.Width(r.name), 18)
	if r.style == terminal.Plain {
		r.style = terminal.Bold
	}
	return t.screen.Print(w, append(terminal.Line{
		{Style: terminal.Dim, Text: timeFor(r.at, t.screen.Width) + "  "},
		{Text: terminal.Pad(terminal.Printable(r.server), t.server) + "  "},
		{Style: r.style, Text: terminal.Pad(terminal.Printable(r.name), t.name)},
	}, r.says...))
}

// bad are the fields of a status that say what is wrong, quiet those that say
// nothing while they are 0, and times those that are times.
var (
	bad   = []string{"error", "reason", "dropped", "lost", "retry_in_ms", "unanswered", "requests_dropped", "replies_denied", "audit_lost", "log_lines_lost"}
	quiet = append([]string{"failures", "audit_queued"}, bad...)
	times = []string{"since", "retry_at", "from", "to"}
)

// fieldLine is fields as Name=value, each with a space before it.
func fieldLine(fields []field) terminal.Line {
	var line terminal.Line
	for _, f := range fields {
		if slices.Contains(quiet, f.Name) && (f.Value == "0" || f.Value == "null") {
			continue
		}
		style := terminal.Plain
		if slices.Contains(bad, f.Name) {
			style = terminal.Bad
		}
		if slices.Contains(times, f.Name) {
			f.Value = localTime(f.Value, time.Now())
		}
		line = append(line, terminal.Piece{Style: terminal.Dim, Text: " " + f.Name + "="}, terminal.Piece{Style: style, Text: quoted(f.Value)})
	}
	return line
}

// localTime is the local time that text, RFC 3339, is, with its day if that is not
// today; text itself if it is no time.
func localTime(text string, now time.Time) string {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return text
	}
	if t = t.Local(); t.Format(time.DateOnly) == now.Local().Format(time.DateOnly) {
		return t.Format(time.TimeOnly)
	}
	return t.Format("2006-01-02T15:04:05")
}

// quoted is value with quotes where its end would not show without.
func quoted(value string) string {
	if strings.ContainsAny(value, " =") {
		return fmt.Sprintf("%q", value)
	}
	return value
}

// rawLine is how a payload that is not JSON is shown.
func rawLine(data []byte) terminal.Line {
	return terminal.Line{{Text: " " + terminal.Printable(string(data[:min(len(data), 200)]))}}
}
