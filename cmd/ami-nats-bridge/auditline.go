package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/replay"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/telling"
	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/terminal"
)

// sentence is a record of the audit as one is read: who asked for what of whom,
// and how it ended.
type sentence struct {
	who, what, whom, end string
	style                terminal.Style // of the end
}

// sentenceOf puts r into words.
func sentenceOf(r *replay.Record) sentence {
	s := sentence{who: cmp.Or(r.Info.User, r.Info.Account), what: r.Action, whom: r.Server}
	if r.Requester != "" {
		s.who = strings.TrimPrefix(s.who+" as "+r.Requester, " as ")
	}
	s.who = terminal.Printable(orDash(s.who))
	for _, f := range fieldsOf(r.Fields) {
		if f.Value != "" && !slices.Contains(telling.Plumbing, f.Name) {
			s.what += " " + f.Name + "=" + quoted(f.Value)
		}
	}
	if r.Omitted > 0 {
		s.what += fmt.Sprintf(" and %d headers more", r.Omitted)
	}
	s.what, s.whom = terminal.Printable(s.what), terminal.Printable(s.whom)
	s.end, s.style = ending(r)
	if r.Lost > 0 {
		s.end += fmt.Sprintf("; %d records before it are lost", r.Lost)
	}
	s.end = terminal.Printable(s.end)
	return s
}

// ending says how the request ended.
func ending(r *replay.Record) (text string, style terminal.Style) {
	code := r.Outcome
	if r.Code != 0 {
		code = fmt.Sprintf("%s %d", r.Outcome, r.Code)
	}
	said := cmp.Or(r.Text, r.Error)
	switch {
	case r.Phase == "intent":
		return "intent: recorded before it is sent", terminal.Dim
	case r.Count > 0:
		return "refused: " + countedText(r), terminal.Bad
	case r.Decision == "refused":
		text, style = "refused, "+code+because(cmp.Or(r.Rule, r.Error)), terminal.Bad
	case r.Outcome == "answered":
		return "answered" + because(strings.Trim(r.Response+", "+said, ", ")), terminal.Good
	case r.Outcome == "repeat":
		return "repeat: got the outcome of an earlier request" + because(said), terminal.Plain
	default:
		text, style = code+because(said), terminal.Bad
	}
	switch r.Sent {
	case "no":
		text += " (nothing was sent)"
	case "unknown":
		text += " (it may have been done)"
	case "yes":
		text += " (it reached Asterisk)"
	}
	return text, style
}

func because(text string) string {
	if text == "" {
		return ""
	}
	return ": " + text
}

// countedText says what a record stands for that is of many requests.
func countedText(r *replay.Record) string {
	var each []string
	for _, outcome := range slices.Sorted(maps.Keys(r.Outcomes)) {
		each = append(each, fmt.Sprintf("%d %s", r.Outcomes[outcome], outcome))
	}
	return fmt.Sprintf("%d requests from %s to %s: %s", r.Count, r.First, r.Last, strings.Join(each, ", "))
}

// auditLine is a record as tail shows it.
func auditLine(m *replay.Message) terminal.Line {
	r, err := replay.RecordOf(m)
	if err != nil || r.Node == "" {
		return rawLine(m.Data)
	}
	s := sentenceOf(&r)
	return terminal.Line{{Text: " " + s.who + " → " + s.what + " → " + s.whom + "  "}, {Style: s.style, Text: s.end}}
}
