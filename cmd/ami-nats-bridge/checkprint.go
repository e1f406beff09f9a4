package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/env"
	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/terminal"
)

// finding is one thing that a check found.
type finding struct {
	About   string `json:"about"`
	Verdict string `json:"verdict"` // ok, note or FAIL
	Text    string `json:"text"`
}

// findings is what a check of one thing found, in order.
type findings struct {
	about string
	state config.StateKinds // what is kept of a server
	users []string          // as whom other bridges log in
	found []finding
}

func (f *findings) add(verdict, text string, args ...any) {
	f.found = append(f.found, finding{f.about, verdict, fmt.Sprintf(text, args...)})
}

// checkPrinter prints findings, and sums them up.
type checkPrinter struct {
	w      io.Writer
	screen terminal.Screen // whose lines are not cut: they say what to do
	json   bool
	quiet  bool                // only what FAILs, and nothing if all is well
	known  func(string) string // hides the secrets that are known

	ok, notes, fails int
	failed           []string // about what
}

// printer prints as c was told to.
func (c *checkCmd) printer(std stdio, s *env.Settings) *checkPrinter {
	return &checkPrinter{
		w: std.out, screen: terminal.Screen{Colour: std.screen().Colour}, json: c.json(), quiet: c.Quiet, known: newRedactor(s).Known,
	}
}

func (p *checkPrinter) print(all []finding) error {
	for _, f := range all {
		f.Text = terminal.Printable(p.known(f.Text)) // a server may say anything
		if err := p.one(f); err != nil {
			return err
		}
	}
	return nil
}

func (p *checkPrinter) one(f finding) error {
	style := terminal.Good
	switch f.Verdict {
	case "FAIL":
		style = terminal.Bad
		if p.fails++; !slices.Contains(p.failed, f.About) {
			p.failed = append(p.failed, f.About)
		}
	case "note":
		style = terminal.Note
		p.notes++
	default:
		p.ok++
	}
	if p.quiet && f.Verdict != "FAIL" {
		return nil
	}
	if p.json {
		return encodeLine(p.w, f)
	}
	return p.screen.Print(p.w, terminal.Line{
		{Text: terminal.Pad(f.About, 12) + " "}, {Style: style, Text: terminal.Pad(f.Verdict, 4)}, {Text: "  " + f.Text},
	})
}

// end prints the summary.
func (p *checkPrinter) end() error {
	if p.json {
		return encodeLine(p.w, map[string]any{"ok": p.ok, "notes": p.notes, "fails": p.fails, "failed": append([]string{}, p.failed...)})
	}
	if p.quiet && p.fails == 0 {
		return nil
	}
	text, style := fmt.Sprintf("%d ok, %s, nothing failed", p.ok, count(p.notes, "note")), terminal.Good
	if p.fails > 0 {
		text, style = fmt.Sprintf("%d ok, %s, %d failed: %s", p.ok, count(p.notes, "note"), p.fails, strings.Join(p.failed, ", ")), terminal.Bad
	}
	return p.screen.Print(p.w, terminal.Line{{Style: style, Text: text}})
}

// count is a number of things.
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	if stem, ok := strings.CutSuffix(thing, "y"); ok {
		return fmt.Sprintf("%d %sies", n, stem)
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
