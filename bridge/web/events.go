package web

import (
	"net/url"
	"slices"
	"strings"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/view"
)

// eventsPage is the events of one server as they come.
type eventsPage struct {
	Server, Events, Grep string
	URL                  string // where they come from; empty if they do not
	Off                  string // why not
	Note                 string // of what is asked for nothing may come
}

// tapped is the server whose events are shown: the first by name if none is asked for.
func (p *painter) tapped() string {
	if p.page.server != "" {
		return p.page.server
	}
	var names []string
	for i := range p.snap.Servers {
		names = append(names, p.snap.Servers[i].Name)
	}
	if len(names) == 0 {
		return ""
	}
	return slices.Min(names)
}

func (p *painter) events() any {
	e := eventsPage{Server: p.tapped(), Events: p.page.events, Grep: p.page.grep}
	f, err := newSieve(e.Events, e.Grep)
	switch {
	case e.Server == "":
		e.Off = "No server is known yet."
	case p.numbers != view.NumbersFull && p.numbers != view.NumbersLast4:
		e.Off = noTap
	case p.opts.Tap == nil || p.opts.Tap(e.Server) == nil:
		e.Off = noServer
	case err != nil:
		e.Off = err.Error() + "."
	default:
		e.URL = "/tap?" + eventsQuery(e.Server, e.Events, e.Grep)
		if e.Note = f.notes(); e.Note != "" {
			e.Note = "Nothing may come: " + e.Note + "."
		}
		e.Note = strings.TrimSpace(p.silent(e.Server) + " " + e.Note)
	}
	return e
}

// silent says that no event of a server comes now, as the session that brings them is not up; nothing if it is, or is not known.
func (p *painter) silent(server string) string {
	s := p.snap.Server(server)
	if s == nil {
		return ""
	}
	for i := range s.Sessions {
		if c := &s.Sessions[i]; c.ReadsEvents() && c.State != "up" {
			return "No event comes now: " + s.Word + ": " + s.Why
		}
	}
	return ""
}

// eventsQuery asks for the events of a server.
func eventsQuery(server, events, grep string) string {
	q := url.Values{"server": {server}}
	if events != "" {
		q.Set("events", events)
	}
	if grep != "" {
		q.Set("grep", grep)
	}
	return q.Encode()
}

// eventsList is the way to other servers' events, with the same filter.
func (p *painter) eventsList() any {
	l := p.list().(list)
	here := p.tapped()
	for _, all := range [][]listed{l.Ill, l.Others} {
		for i := range all {
			all[i].Here = all[i].Name == here
			all[i].Href = "/?view=" + viewEvents + "&" + eventsQuery(all[i].Name, p.page.events, p.page.grep)
		}
	}
	return l
}
