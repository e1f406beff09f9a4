package web

import (
	"cmp"
	"fmt"
	"html/template"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/view"
)

// illRow is a server that somebody must do something about.
type illRow struct {
	ID, Name, Href, State, Tone, Word, Why, Do string
	Since                                      string
	Ago                                        template.HTML
	UntilWord                                  string // next try in, full in
	Until                                      template.HTML
	From, To                                   int64 // of the bar that says how long yet, in Unix milliseconds; 0 for none
	Lost, LostMore, LostTone                   string
	Outbox                                     string // how full, of 100; empty if that is not what is wrong
	Leads                                      string // who leads it, in words; empty if no bridges share it
}

// ill are the ill servers that match, the worst first.
type ill struct {
	Rows []illRow
	Note string
}

func (p *painter) ill() any {
	var all ill
	if !p.snap.NATS.Up {
		all.Rows = append(all.Rows, p.natsRow())
	}
	match, others := 0, 0
	for i := range p.snap.Servers {
		s := &p.snap.Servers[i]
		switch found := matches(s, p.page.find); {
		case found && p.isIll(s):
			match++
			all.Rows = append(all.Rows, p.illRow(s))
		case found:
			match++
		case s.State.Ill():
			others++
		}
	}
	if p.page.find != "" {
		all.Note = fmt.Sprintf("“%s”: %s of %s match", p.page.find, count(match), count(len(p.snap.Servers)))
		switch others {
		case 0:
		case 1:
			all.Note += ", 1 ill does not"
		default:
			all.Note += ", " + count(others) + " ill do not"
		}
	}
	return all
}

// isIll says whether s is shown among the ill: while NATS is down all are in trouble, and
// one row says so for all that have nothing else.
func (p *painter) isIll(s *view.Server) bool {
	return s.State.Ill() && (p.snap.NATS.Up || s.State != view.StateTrouble || s.Reason != "" || s.Losing != nil)
}

// natsRow is NATS while it is down.
func (p *painter) natsRow() illRow {
	n := p.snap.NATS
	r := illRow{
		ID: "nats", Name: "NATS", Href: "#delivery", State: string(view.StateDown), Tone: "bad", Word: "down", Why: "It takes no events: they wait in memory.",
		Do:    "Do not restart the bridge. This page comes from " + p.opts.Node + " itself, and goes on.",
		Since: p.moment(n.Since), Ago: p.age(n.Since), Lost: "nothing yet", LostTone: "quiet",
	}
	if !n.FirstFull.IsZero() {
		r.UntilWord, r.Until = "first full in", p.until(n.FirstFull)
		r.LostMore = "from " + p.moment(n.FirstFull) + " on, at " + n.First
	}
	for i := range p.snap.Servers {
		if p.snap.Servers[i].Losing != nil {
			r.Lost, r.LostTone, r.LostMore = "events", "bad", "of the servers below"
		}
	}
	return r
}

func (p *painter) illRow(s *view.Server) illRow {
	r := illRow{
		ID: "s-" + s.Name, Name: s.Name, Href: href(s), State: string(s.State), Tone: tone(s.State), Word: s.Word, Why: s.Why, Do: s.Do,
		Since: p.moment(s.Since), Ago: p.age(s.Since), Lost: "nothing yet", LostTone: "quiet",
	}
	switch {
	case s.Until.IsZero():
	case s.UntilKind == view.UntilTry:
		r.UntilWord, r.Until = "next try in", p.until(s.Until)
		r.From, r.To = waitsSince(s).UnixMilli(), s.Until.UnixMilli()
		if r.From >= r.To {
			r.From, r.To = 0, 0
		}
	default:
		r.UntilWord, r.Until = "full in", p.until(s.Until)
	}
	if s.HA != nil {
		r.Leads = s.HA.Text() + "."
	}
	if l := s.Losing; l != nil {
		r.LostTone = "bad"
		r.Lost, r.LostMore, _ = strings.Cut(l.Text(p.now), ", ")
		if l.Events != nil {
			r.LostMore = view.Rate(l.Rate) + "/s now, counted"
		}
	}
	if b := s.Buffers; b != nil && (b.Outbox.Percent() >= 80 || s.State == view.StateLosing) {
		r.Outbox = width(b.Outbox.Percent())
	}
	return r
}

// waitsSince is since when the next try of s is waited for.
func waitsSince(s *view.Server) (since time.Time) {
	for i := range s.Sessions {
		if c := &s.Sessions[i]; c.RetryAt.Equal(s.Until.Time) {
			since = c.Since.Time
		}
	}
	if b := s.Breaker; b != nil && b.RetryAt.Equal(s.Until.Time) {
		since = b.Since.Time
	}
	return since
}

func href(s *view.Server) string { return "/?server=" + url.QueryEscape(s.Name) }

// memory is how long the outboxes last, while NATS is down.
type memory struct {
	Rows   []memoryRow
	Others string
}

type memoryRow struct {
	Name, Href, Used, Share, Tone string
	Left                          template.HTML
}

// shownMemory is how many outboxes are shown, those that are full first.
const shownMemory = 6

func (p *painter) memory() any {
	var m memory
	if p.snap.NATS.Up {
		return m
	}
	var all []*view.Server
	for i := range p.snap.Servers {
		if s := &p.snap.Servers[i]; s.Buffers != nil {
			all = append(all, s)
		}
	}
	slices.SortStableFunc(all, func(a, b *view.Server) int {
		switch {
		case a.Forecast != nil && b.Forecast != nil:
			return a.Forecast.Full.Compare(b.Forecast.Full.Time)
		case a.Forecast != nil:
			return -1
		case b.Forecast != nil:
			return 1
		}
		return cmp.Compare(b.Buffers.Outbox.Percent(), a.Buffers.Outbox.Percent())
	})
	for _, s := range all[:min(len(all), shownMemory)] {
		row := memoryRow{Name: s.Name, Href: href(s), Used: size(s.Buffers.Outbox.Bytes), Share: width(s.Buffers.Outbox.Percent()), Left: "not filling"}
		if f := s.Forecast; f != nil {
			row.Left = p.until(f.Full) + " left"
			if f.Full.Sub(p.now) < 5*time.Minute {
				row.Tone = "warn"
			}
		}
		m.Rows = append(m.Rows, row)
	}
	if n := len(all) - len(m.Rows); n > 0 {
		m.Others = "The other " + count(n) + " last longer."
	}
	return m
}
