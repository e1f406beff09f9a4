package main

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/nats-io/nats.go"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/catalog"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/replay"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/telling"
)

// tailFilter is which messages are shown.
type tailFilter struct {
	subject string // to subscribe to
	match   func(subject string) bool
	grep    matching
	prefix  string
	servers []string // patterns
	notes   []string // why it may match nothing
}

// filter is what the arguments say. What stands in the subject's place and has
// no dot is the name of an event, as in replay --event.
func (c *tailCmd) filter(prefix string) (tailFilter, error) {
	f := tailFilter{grep: c.Grep, prefix: prefix}
	events := c.Event
	switch {
	case strings.ContainsAny(c.Subject, ".>"):
		if len(c.Event) > 0 {
			return f, usage("--event selects events: it goes with no subject")
		}
		if err := f.bySubject(c.Subject); err != nil {
			return f, err
		}
		return f, f.ofServers(c.Server)
	case c.Subject != "":
		events = append(slices.Clone(events), strings.Split(c.Subject, ",")...)
	}
	sel := replay.Selection{Prefix: prefix, Kind: "events", Servers: c.Server, Names: events}
	if err := sel.Check(); err != nil {
		return f, usage("%v", err)
	}
	f.subject, f.match, f.servers, f.notes = sel.Wide(), sel.Matches, c.Server, catalog.UnknownEvents(events)
	return f, nil
}

// bySubject takes a subject, in whose tokens there may be patterns too, which NATS
// would take by the letter and match nothing.
func (f *tailFilter) bySubject(subject string) error {
	tokens := strings.Split(subject, ".")
	for i, token := range tokens {
		if _, err := path.Match(token, ""); err != nil || token == "" || strings.ContainsAny(token, " \t\r\n") ||
			strings.Contains(token, ">") && (token != ">" || i < len(tokens)-1) {
			return usage("%.80q is not a subject: tokens between dots, * for one of them, > at the end for all that follow", subject)
		}
	}
	wide := slices.Clone(tokens)
	for i, token := range wide {
		if strings.ContainsAny(token, `*?[\`) {
			wide[i] = "*"
		}
	}
	f.subject = strings.Join(wide, ".")
	f.match = func(s string) bool {
		for i, token := range strings.Split(s, ".") {
			if i >= len(tokens) || tokens[i] == ">" {
				break
			}
			if ok, _ := path.Match(tokens[i], token); !ok {
				return false
			}
		}
		return true
	}
	if why := noSubject(tokens, f.prefix); why != "" {
		f.notes = append(f.notes, why)
	}
	kind, server, _ := subjectParts(subject, f.prefix)
	if (kind == "events" || kind == "status") && server != ">" && server != "" {
		f.servers = []string{server}
	}
	return nil
}

// ofServers lets through only what is of servers that match a pattern.
func (f *tailFilter) ofServers(patterns []string) error {
	if len(patterns) == 0 {
		return nil
	}
	for _, p := range patterns {
		if _, err := path.Match(p, ""); err != nil {
			return usage("--server: %.80q is not a pattern of names", p)
		}
	}
	if kind, server, _ := subjectParts(f.subject, f.prefix); kind != "nodes" && kind != "" && !strings.ContainsAny(server, "*>") && server != "" && !anyOf(patterns, server) {
		f.notes = append(f.notes, fmt.Sprintf("%.80s names the server %.32s, which --server leaves out", f.subject, server))
	}
	all := f.match
	f.servers = patterns
	f.match = func(subject string) bool {
		_, server, _ := subjectParts(subject, f.prefix)
		return all(subject) && anyOf(patterns, server)
	}
	return nil
}

// unserved says which servers no running bridge has. Where none answers, or the
// user may not ask, nobody knows.
func (f *tailFilter) unserved(ctx context.Context, nc *nats.Conn) (notes []string) {
	if len(f.servers) == 0 {
		return nil
	}
	served, err := discover(ctx, nc, f.prefix)
	if err != nil || len(served.servers) == 0 {
		return nil
	}
	for _, p := range f.servers {
		if why := catalog.Unlike("server of a running bridge", p, served.servers); why != "" {
			notes = append(notes, why)
		}
	}
	return notes
}

// takes reports whether m is to be shown.
func (f *tailFilter) takes(m *replay.Message) bool {
	if !f.match(m.Subject) {
		return false
	}
	return telling.Matches(f.grep.Regexp, m.Subject, fieldsOf(m.Data), m.Data)
}

// kinds are the second tokens of the bridge's subjects, each with the form of
// what follows.
var kinds = map[string]string{
	"events": "<server>.<Event>", "status": "<server>.<what>", "nodes": "<node>", "audit": "<server>.<Action>", "actions": "<server>.<Action>",
}

// noSubject says why no message of the bridge has a subject that these tokens
// match; "" if one may have.
func noSubject(tokens []string, prefix string) string {
	if strings.HasPrefix(tokens[0], "$") || strings.HasPrefix(tokens[0], "_") {
		return "" // NATS's own
	}
	head := strings.Split(prefix, ".")
	for i, token := range head {
		switch {
		case i >= len(tokens):
			return fmt.Sprintf("the bridge's subjects are longer: %s.events.%s and so on", prefix, kinds["events"])
		case tokens[i] == ">":
			return ""
		}
		if ok, _ := path.Match(tokens[i], token); !ok {
			return fmt.Sprintf("the bridge's subjects begin with %s. (BRIDGE_SUBJECT_PREFIX), not with %.80s.", prefix, strings.Join(tokens[:i+1], "."))
		}
	}
	rest := tokens[len(head):]
	if len(rest) == 0 {
		return fmt.Sprintf("no message is on %s itself: %s.> has all", prefix, prefix)
	}
	if rest[0] == ">" || strings.ContainsAny(rest[0], `*?[\`) {
		return ""
	}
	form, known := kinds[rest[0]]
	if !known {
		return fmt.Sprintf("the bridge has no subjects %s.%.40s: the nearest is %s.%s", prefix, rest[0], prefix, catalog.NearestTo(rest[0], names(kinds)))
	}
	want := 1 + len(strings.Split(form, "."))
	if open := rest[len(rest)-1] == ">"; len(rest) > want || len(rest) < want && !open {
		return fmt.Sprintf("no message has that many tokens: the form is %s.%s.%s", prefix, rest[0], form)
	}
	last := rest[len(rest)-1]
	switch {
	case len(rest) < want || last == ">":
	case rest[0] == "events":
		return strings.Join(catalog.UnknownEvents([]string{last}), "; ")
	case rest[0] == "status":
		return catalog.Unlike("status", last, []string{"connection", "breaker", "buffers", "gap", "ha"})
	case rest[0] == "audit" || rest[0] == "actions":
		return catalog.Unlike("Action of Asterisk 1.8 to 23", last, append(catalog.Actions(), "_unknown"))
	}
	return ""
}
