package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/replay"
	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/terminal"
)

// recordTable prints records as lines whose columns are aligned.
type recordTable struct{ server, action, requester, end int }

func (t *recordTable) record(w io.Writer, r *replay.Record) error {
	at := replay.MadeAt(r.Message).Local().Format(tableTime)
	if r.Node == "" { // it is none
		_, err := fmt.Fprintf(w, "%s  %s: no record of a bridge: %s\n", at, terminal.Printable(r.Subject), terminal.Printable(string(r.Data[:min(len(r.Data), 100)])))
		return err
	}
	who := cmp.Or(r.Info.User, r.Info.Account)
	if r.Requester != "" {
		who = strings.TrimPrefix(who+" as "+r.Requester, " as ")
	}
	said := cmp.Or(r.Text, r.Error, r.Rule)
	if r.Decision == "refused" {
		said = cmp.Or(r.Rule, r.Error)
	}
	if r.Count > 0 {
		said = countedText(r)
	}
	end := r.End()
	if r.Code != 0 {
		end = fmt.Sprintf("%s %d", end, r.Code)
	}
	_, err := fmt.Fprintf(w, "%s  %s  %s  %s  %-8s  %s  sent: %-7s  %s\n", at, column(&t.server, r.Server), column(&t.action, r.Action),
		column(&t.requester, orDash(who)), terminal.Printable(r.Decision), column(&t.end, end), orDash(r.Sent), terminal.Printable(said))
	return err
}

// countedText says what a record stands for that is of many requests.
func countedText(r *replay.Record) string {
	var each []string
	for _, outcome := range slices.Sorted(maps.Keys(r.Outcomes)) {
		each = append(each, fmt.Sprintf("%d %s", r.Outcomes[outcome], outcome))
	}
	return fmt.Sprintf("%d requests from %s to %s: %s", r.Count, r.First, r.Last, strings.Join(each, ", "))
}

// column is a text as wide as the widest that was there before.
func column(width *int, text string) string {
	text = terminal.Printable(text)
	*width = max(*width, utf8.RuneCountInString(text))
	return text + strings.Repeat(" ", *width-utf8.RuneCountInString(text))
}

func printVerdicts(w io.Writer, verdicts []replay.Verdict, format string) error {
	for i := range verdicts {
		v := &verdicts[i]
		if format == "json" {
			if err := json.NewEncoder(w).Encode(v); err != nil {
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
