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
	row := recordRow{at: timeFor(r.Made().Local().Format(tableTime), t.screen.Width)}
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
	t.fit()
	head := sentence{who: "WHO", what: "WHAT", whom: "WHOM", end: "OUTCOME", style: terminal.Bold}
	if err := t.print(w, recordRow{at: terminal.Pad("WHEN", len(t.held[0].at)), sentence: head}); err != nil {
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
	cell := func(text string, width int) string {
		if t.screen.Width > 0 {
			text = terminal.Cut(text, width)
		}
		return terminal.Pad(text, width)
	}
	return t.screen.Print(w, append(line,
		terminal.Piece{Text: cell(row.who, t.who) + " → " + cell(row.what, t.what) + " → " + cell(row.whom, t.whom) + "  "},
		terminal.Piece{Style: row.style, Text: row.end}))
}

// fit makes columns narrower, the widest first, until a third of the screen is left for how
// a request ended.
func (t *recordTable) fit() {
	if t.screen.Width == 0 {
		return
	}
	end := 0
	for _, row := range t.held {
		end = max(end, terminal.Width(row.end))
	}
	const between = len("  ") + 2*len(" > ") + len("  ")
	room := t.screen.Width - len(t.held[0].at) - between - min(end, t.screen.Width/3)
	for t.who+t.what+t.whom > room {
		widest := &t.who
		for _, other := range []*int{&t.what, &t.whom} {
			if *other > *widest {
				widest = other
			}
		}
		if *widest <= 4 {
			return
		}
		*widest--
	}
}

// timeFor is a time of tableTime as a screen of so many columns has room for it: without
// its year and milliseconds, or without its day.
func timeFor(at string, columns int) string {
	switch {
	case columns == 0 || columns >= 70 || len(at) != len(tableTime):
		return at
	case columns >= 50:
		return at[len("2006-"):len("2006-01-02 15:04:05")]
	}
	return at[len("2006-01-02 "):len("2006-01-02 15:04:05")]
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
