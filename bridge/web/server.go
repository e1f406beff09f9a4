package web

import (
	"fmt"
	"html/template"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/view"
)

// server is the one that the page is of; nil if there is none of that name.
func (p *painter) server() *view.Server { return p.snap.Server(p.page.server) }

// list is the way to the other servers.
type list struct{ Ill, Others []listed }

type listed struct {
	Name, Href, State, Tone string
	Here                    bool
}

func (p *painter) list() any {
	var l list
	for i := range p.snap.Servers {
		s := &p.snap.Servers[i]
		one := listed{s.Name, href(s), string(s.State), tone(s.State), s.Name == p.page.server}
		if s.State.Ill() {
			l.Ill = append(l.Ill, one)
		} else {
			l.Others = append(l.Others, one)
		}
	}
	return l
}

func (p *painter) serverVerdict() any {
	s := p.server()
	if s == nil {
		return verdict{State: "unknown", Tone: "quiet", Text: "No server is called " + p.page.server, More: "Perhaps it has been taken out of BRIDGE_SERVERS."}
	}
	v := verdict{State: string(s.State), Tone: tone(s.State), Text: s.Name + " is " + s.Word, More: strings.TrimSpace(s.Why + " " + s.Do)}
	if s.State == view.StateRefused {
		v.Text = s.Name + ": " + s.Word
	}
	if !s.Since.IsZero() && s.State != view.StateWell {
		v.More = "Since " + p.moment(s.Since) + ". " + v.More
	}
	if s.HA != nil {
		v.More = strings.TrimSpace(v.More + " Bridges: " + s.HA.Text() + ".")
	}
	switch {
	case s.Until.IsZero():
	case s.UntilKind == view.UntilTry:
		v.Figures = append(v.Figures, figure{Name: "Next try in", Value: p.until(s.Until)})
	default:
		v.Figures = append(v.Figures, figure{Name: "Full in", Value: p.until(s.Until)})
	}
	if s.Rates != nil {
		v.Figures = append(v.Figures, fig("Events/s", view.Rate(s.Rates.In)))
		if !s.LedElsewhere() {
			v.Figures = append(v.Figures, fig("Stored/s", view.Rate(s.Rates.Stored)))
		}
	}
	if l := s.Losing; l != nil {
		lost := fig("Lost", "all")
		if l.Events != nil {
			lost = fig("Lost", view.Count(*l.Events))
		}
		lost.Tone = "bad"
		v.Figures = append(v.Figures, lost)
	}
	if s.Present != nil {
		v.Figures = append(v.Figures, fig("Calls", count(s.Present.Calls)), fig("Waiting", count(s.Present.Waiting)))
	}
	return v
}

// account is the law of conservation, and what came in and went out of late.
type account struct {
	Terms   []term
	In, Out string
	Most    string
	Events  string // where they are shown as they come
	// P95 is that of Actions, and P95Most its most; empty if there were none.
	P95, P95Most string
}

type term struct {
	Sign, Count, Name string
	Bad               bool
}

func (p *painter) account() any {
	var a account
	s := p.server()
	if s == nil || s.Account == nil {
		return a
	}
	of := s.Account
	a.Events = "/?view=" + viewEvents + "&" + eventsQuery(s.Name, "", "")
	a.Terms = []term{
		{"", view.Count(of.Received), "received", false}, {"=", view.Count(of.Published), "published", false},
		{"+", view.Count(of.Filtered), "filtered", false}, {"+", view.Count(of.Queued), "queued", false}, {"+", view.Count(of.InFlight), "in flight", false},
	}
	if of.Released > 0 {
		a.Terms = append(a.Terms, term{"+", view.Count(of.Released), "released", false})
	}
	dropped := false
	for _, reason := range slices.Sorted(maps.Keys(of.Dropped)) {
		if n := of.Dropped[reason]; n > 0 {
			dropped = true
			a.Terms = append(a.Terms, term{"+", view.Count(n), "dropped: " + reason, true})
		}
	}
	if !dropped {
		a.Terms = append(a.Terms, term{"+", "0", "dropped", false})
	}
	if s.Rates != nil {
		a.In, a.Out = spark(s.Rates.InPast, s.Rates.StoredPast), spark(s.Rates.StoredPast, s.Rates.InPast)
		if len(s.Rates.InPast) > 0 {
			a.Most = view.Rate(float64(slices.Max(s.Rates.InPast)) / 10)
		}
		a.P95, a.P95Most = p95s(s.Rates.P95Past)
	}
	return a
}

// p95s is a line through the 95th percentiles of the last ten minutes, in milliseconds, and
// the most of them; nothing if there were none.
func p95s(past []float64) (line, most string) {
	if len(past) == 0 || slices.Max(past) <= 0 {
		return "", ""
	}
	points := make([]uint64, len(past), len(past)+1)
	for i, ms := range past {
		points[i] = uint64(1000 * ms)
	}
	return spark(append(points, 0), nil), millis(slices.Max(past)) // the step that is not over counts too
}

// sessions are those of the server, and its breaker.
type sessions struct {
	Version string
	Rows    []sessionRow
}

type sessionRow struct {
	Role, Word, State, Tone, Since, Failures, Error string
	Next                                            template.HTML
}

func (p *painter) sessions() any {
	var all sessions
	s := p.server()
	if s == nil {
		return all
	}
	for i := range s.Sessions {
		c := &s.Sessions[i]
		row := sessionRow{Role: c.Role, Word: c.State, State: "well", Tone: "ok", Since: p.moment(c.Since), Failures: failures(c.Failures, c.Reason), Error: c.Error}
		if c.State != "up" {
			row.State, row.Tone = "trouble", "warn"
			if s.Losing != nil && c.ReadsEvents() {
				row.State, row.Tone = "down", "bad"
			}
		}
		if !c.RetryAt.IsZero() && c.State == "waiting" {
			row.Next = p.until(c.RetryAt)
		}
		all.Version = max(all.Version, c.Version)
		all.Rows = append(all.Rows, row)
	}
	if b := s.Breaker; b != nil {
		row := sessionRow{Role: "breaker", Word: b.State, State: "well", Tone: "ok", Since: p.moment(b.Since), Failures: failures(b.Failures, b.Reason), Error: b.Error}
		if b.State != "closed" {
			row.State, row.Tone = "trouble", "warn"
		}
		if !b.RetryAt.IsZero() && b.State == "open" {
			row.Next = p.until(b.RetryAt)
		}
		all.Rows = append(all.Rows, row)
	}
	return all
}

func failures(n int, reason string) string {
	if n > 0 && reason != "" {
		return count(n) + ", " + reason
	}
	return count(n)
}

// buffer is one of the server's; without a Share it has no bar.
type buffer struct{ Name, Value, Share, Most, Tone string }

func (p *painter) buffers() any {
	s := p.server()
	if s == nil || s.Buffers == nil {
		return []buffer(nil)
	}
	of := func(name string, b *view.Buffer, show func(int64) string) buffer {
		now := b.Depth
		if b.Bytes > 0 {
			now = b.Bytes
		}
		row := buffer{Name: name, Share: width(b.Percent()), Most: "0", Value: fmt.Sprintf("%s of %s, %s", show(now), show(b.Capacity), percent(b.Percent()))}
		if b.Capacity > 0 {
			row.Most = width(100 * float64(b.HighWater) / float64(b.Capacity))
		}
		if b.Refused > 0 {
			row.Value += ", " + view.Count(b.Refused) + " refused"
		}
		switch {
		case b.Level == "full", b.Level == "high" && s.State == view.StateLosing:
			row.Tone = "bad"
		case b.Level == "high":
			row.Tone = "warn"
		}
		return row
	}
	all := []buffer{of("Outbox", &s.Buffers.Outbox, size), of("Write buffer", &s.Buffers.Write, size), of("Pending actions", &s.Buffers.Pending, count[int64])}
	if s.Rates != nil && s.Rates.P95 != nil {
		all[2].Value += ", p95 " + millis(*s.Rates.P95)
	}
	if said := s.Refused.Text(p.now); said != "" {
		all = append(all, buffer{Name: "Actions", Value: said})
	}
	return all
}

// serverQueues are those of the server, as their tiles on the floor have them.
func (p *painter) serverQueues() any {
	var own []tile
	if f := p.snap.Floor; f != nil {
		for i := range f.Queues {
			if f.Queues[i].Server == p.page.server {
				own = append(own, p.tile(&f.Queues[i]))
			}
		}
	}
	return own
}

// gaps are a day of them.
type gaps struct {
	Text  string
	Marks []mark
	Hours []string
	Rows  []gapRow
}

// mark is a gap on a line that is 100 long.
type mark struct{ X, Width, Tone, Title string }

type gapRow struct {
	From, To, Reason, Lost, Restarted string
	Open                              bool
}

// day is how much the line of gaps shows.
const day = 24 * time.Hour

func (p *painter) gaps() any {
	var all gaps
	s := p.server()
	if s == nil {
		return all
	}
	open := 0
	for i := range s.Gaps {
		g := &s.Gaps[i]
		row := gapRow{From: p.moment(g.From), To: p.moment(g.To), Reason: g.Reason, Lost: "unknown", Restarted: "unknown", Open: g.To.IsZero()}
		end, tone := g.To.Time, "warn"
		if row.Open {
			open++
			row.To, end, tone = "open", p.now, "bad"
		}
		if g.Lost != nil {
			row.Lost, row.Restarted = view.Count(*g.Lost), "no session lost"
		}
		if g.Restarted != nil {
			row.Restarted = map[bool]string{true: "yes", false: "no"}[*g.Restarted]
		}
		all.Rows = append(all.Rows, row)
		if from, to := p.ofDay(g.From.Time), p.ofDay(end); to > 0 {
			all.Marks = append(all.Marks, mark{
				X: fixed(min(from, 99.7)), Width: fixed(max(0.3, to-from)), Tone: tone, Title: row.From + " to " + row.To + ": " + row.Reason,
			})
		}
	}
	all.Text = fmt.Sprintf("%d open, %d closed", open, len(s.Gaps)-open)
	for h := range 4 {
		all.Hours = append(all.Hours, p.now.Add(-day+time.Duration(h)*6*time.Hour).Truncate(time.Hour).Format("15:04"))
	}
	return all
}

// ofDay is where t is on a line of a day that ends now.
func (p *painter) ofDay(t time.Time) float64 {
	return min(max(100-100*float64(p.now.Sub(t))/float64(day), 0), 100)
}

func fixed(x float64) string { return strconv.FormatFloat(x, 'f', 2, 64) }
