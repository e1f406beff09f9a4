package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/replay"
	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/terminal"
)

// recordTable prints records as sentences under a head, their parts aligned.
type recordTable struct {
	screen          terminal.Screen
	held            []recordRow // until the widths are known
	headed          bool
	who, what, whom int
}

// recordRow is a sentence, or what is no record, and when it was made.
type recordRow struct {
	at string
	sentence
	none string
}

const (
	// heldRows is how many records the widths are taken from. Later ones that are
	// wider are not cut.
	heldRows = 500
	// widestWhat is how far the column of what was asked for is widened.
	widestWhat = 60
)

func (t *recordTable) record(w io.Writer, r *replay.Record) error {
	row := recordRow{at: r.Made().Local().Format(tableTime)}
	if r.Node == "" { // it is none
		row.none = terminal.Printable(r.Subject) + ": no record of a bridge: " + terminal.Printable(string(r.Data[:min(len(r.Data), 100)]))
	} else {
		row.sentence = sentenceOf(r)
	}
	if t.headed {
		return t.print(w, row)
	}
	if t.held = append(t.held, row); len(t.held) < heldRows {
		return nil
	}
	return t.end(w)
}

// end prints what is held, with the head before it.
func (t *recordTable) end(w io.Writer) error {
	if t.headed || len(t.held) == 0 {
		return nil
	}
	t.headed, t.who, t.whom = true, 3, 4
	for _, row := range t.held {
		t.who, t.whom = max(t.who, terminal.Width(row.who)), max(t.whom, terminal.Width(row.whom))
		t.what = max(t.what, min(terminal.Width(row.what), widestWhat), 4)
	}
	head := sentence{who: "WHO", what: "WHAT", whom: "WHOM", end: "OUTCOME", style: terminal.Bold}
	if err := t.print(w, recordRow{at: terminal.Pad("WHEN", len(tableTime)), sentence: head}); err != nil {
		return err
	}
	for _, row := range t.held {
		if err := t.print(w, row); err != nil {
			return err
		}
	}
	t.held = nil
	return nil
}

func (t *recordTable) print(w io.Writer, row recordRow) error {
	line := terminal.Line{{Style: terminal.Dim, Text: row.at + "  "}}
	if row.none != "" {
		return t.screen.Print(w, append(line, terminal.Piece{Style: terminal.Bad, Text: row.none}))
	}
	return t.screen.Print(w, append(line,
		terminal.Piece{Text: terminal.Pad(row.who, t.who) + " → " + terminal.Pad(row.what, t.what) + " → " + terminal.Pad(row.whom, t.whom) + "  "},
		terminal.Piece{Style: row.style, Text: row.end}))
}

func printVerdicts(w io.Writer, verdicts []replay.Verdict, format string) error {
	for i := range verdicts {
		v := &verdicts[i]
		if format == "json" {
			if err := encodeLine(w, v); err != nil {
				return err
			}
			continue
		}
		if err := printVerdict(w, v); err != nil {
			return err
		}
	}
	return nil
}

func printVerdict(w io.Writer, v *replay.Verdict) error {
	var text strings.Builder
	name, state := "the stream", "whole"
	if v.Server != "" {
		name = terminal.Printable(v.Server)
	}
	if v.Broken > 0 {
		state = fmt.Sprintf("BROKEN in %d places", v.Broken)
	}
	if v.Records > 0 {
		state = fmt.Sprintf("%d records in %d runs of %s, %s", v.Records, v.Runs, terminal.Printable(strings.Join(v.Nodes, ", ")), state)
	}
	fmt.Fprintf(&text, "%s: %s\n", name, state)
	for _, b := range v.Breaks {
		fmt.Fprintf(&text, "  %s at sequence %d", strings.ToUpper(string(b.Kind)), b.Sequence)
		if b.Subject != "" {
			fmt.Fprintf(&text, ", %s, %s", terminal.Printable(b.Subject), terminal.Printable(orDash(b.At)))
		}
		if b.Count > 0 {
			fmt.Fprintf(&text, ", %d records", b.Count)
		}
		fmt.Fprintf(&text, ": %s\n", terminal.Printable(b.Text))
		if b.Expected != "" {
			fmt.Fprintf(&text, "    expected %s\n    found    %s\n", terminal.Printable(b.Expected), terminal.Printable(orDash(b.Found)))
		}
	}
	for _, note := range v.Notes {
		fmt.Fprintf(&text, "  note: %s\n", terminal.Printable(note))
	}
	if v.Lost > 0 {
		fmt.Fprintf(&text, "  note: the bridge itself says that it lost %d records\n", v.Lost)
	}
	if v.Counted > 0 {
		fmt.Fprintf(&text, "  note: %d more requests were refused than have a record of their own\n", v.Counted)
	}
	for _, h := range v.Heads {
		fmt.Fprintf(&text, "  head %s sequence %d, %s\n", h.Hash, h.Sequence, terminal.Printable(h.At))
	}
	_, err := io.WriteString(w, text.String())
	return err
}
