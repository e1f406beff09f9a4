package web

import (
	"cmp"
	"fmt"
	"html/template"
	"slices"
	"strings"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/view"
)

// figures are what a wallboard shows first; Off says why there is nothing to show.
type figures struct {
	Off       string
	Numbers   []bigFigure
	Day, Hour string
}

type bigFigure struct {
	Name, Icon, Tone string
	Value            template.HTML
}

func (p *painter) figures() any {
	f := p.snap.Floor
	all := figures{Off: p.snap.NoFloor(p.opts.Node), Day: p.now.Format("Monday 2 January"), Hour: p.now.Format("15:04")}
	if f == nil {
		return all
	}
	longest := bigFigure{Name: "Longest wait", Value: "–"}
	if f.Waiting > 0 && !f.Longest.IsZero() {
		longest.Value, longest.Tone = p.clock(f.Longest), waitTone(p.now.Sub(f.Longest.Time) >= view.WaitTooLong, p.now.Sub(f.Longest.Time) >= view.WaitLong)
	}
	all.Numbers = []bigFigure{
		{Name: "Waiting", Value: text(count(f.Waiting))}, longest, {Name: "Calls up", Value: text(count(f.Calls))},
		{Name: "Free", Icon: "free", Value: text(count(f.Free))}, {Name: "Talking", Icon: "talking", Value: text(count(f.Talking))},
		{Name: "Paused", Icon: "paused", Value: text(count(f.Paused))},
	}
	return all
}

func waitTone(tooLong, long bool) string {
	switch {
	case tooLong:
		return "bad"
	case long:
		return "warn"
	}
	return ""
}

// tile is a queue.
type tile struct {
	ID, Name, Server, Tone, Tag   string
	Waiting                       string
	Zero, Stale                   bool
	Longest                       template.HTML
	LongestWord                   string
	Callers                       []callerRow
	Past, Most                    string
	Free, Talking, Ringing, Pause string
}

type callerRow struct {
	Position string
	Number   string
	Wait     template.HTML
}

// shownCallers is how many of a queue's callers are on its tile.
const shownCallers = 3

// queues are the tiles, each in its place.
type queues struct {
	Tiles  []tile
	Across int // on a wide screen: no row of it is much shorter than the others
	Hidden string
	None   bool // the state is on, and no queue is known
}

func (p *painter) queues() any {
	var all queues
	f := p.snap.Floor
	if f == nil {
		return all
	}
	names := make(map[string]int)
	for i := range f.Queues {
		names[f.Queues[i].Name]++
	}
	for i := range f.Queues {
		t := p.tile(&f.Queues[i])
		if names[f.Queues[i].Name] > 1 {
			t.Server = f.Queues[i].Server
		}
		all.Tiles = append(all.Tiles, t)
	}
	all.Across = across(len(all.Tiles))
	if f.QueuesHidden > 0 {
		all.Hidden = count(f.QueuesHidden) + " more queues are not shown."
	}
	all.None = len(f.Queues) == 0
	return all
}

// across is into how many columns, 3 to 6, n tiles are put.
func across(n int) int {
	best := 4
	for _, c := range []int{5, 6, 3} {
		if free := func(c int) int { return (c - n%c) % c }; n > 2*best && free(c) < free(best) {
			best = c
		}
	}
	return best
}

func (p *painter) tile(q *view.Queue) tile {
	wait := q.Wait(p.now)
	t := tile{
		ID: fmt.Sprintf("q-%s-%x", q.Server, q.Name), Name: q.Name, Waiting: count(q.Waiting), Zero: q.Waiting == 0,
		Free: count(q.Free), Talking: count(q.Talking), Pause: count(q.Paused), LongestWord: "longest wait", Past: steps(q.Past),
	}
	if q.Ringing > 0 {
		t.Ringing = count(q.Ringing)
	}
	if len(q.Past) > 0 {
		t.Most = view.Count(slices.Max(q.Past))
	}
	if !q.AsOf.IsZero() {
		t.Stale, t.Tone, t.Tag, t.LongestWord = true, "stale", "as of "+p.moment(q.AsOf), "wait at "+p.moment(q.AsOf)
		t.Free, t.Talking, t.Pause, t.Ringing = "?", "?", "?", ""
	} else {
		t.Tone = waitTone(wait >= view.WaitTooLong, wait >= view.WaitLong)
		t.Tag = map[string]string{"bad": "over 3 min", "warn": "over 1 min"}[t.Tone]
	}
	if q.Waiting > 0 && !q.Longest.IsZero() {
		t.Longest = p.waiting(q, q.Longest)
	}
	for i, c := range q.Callers[:min(len(q.Callers), shownCallers)] {
		number := cmp.Or(c.Number, "caller")
		t.Callers = append(t.Callers, callerRow{count(cmp.Or(max(c.Position, 0), i+1)), number, p.waiting(q, c.Since)})
	}
	return t
}

// waiting is how long somebody has waited in q; of a stale one, had.
func (p *painter) waiting(q *view.Queue, since view.Time) template.HTML {
	if q.AsOf.IsZero() {
		return p.clock(since)
	}
	return text(view.Clock(q.AsOf.Sub(since.Time)))
}

// steps is a staircase through points, as the path of an SVG that is 100 wide and 20 high.
func steps(points []uint64) string {
	if len(points) == 0 {
		return ""
	}
	most := max(slices.Max(points), 1)
	y := func(n uint64) float64 { return 19 - 18*float64(n)/float64(most) }
	var b strings.Builder
	fmt.Fprintf(&b, "M0 %.1f", y(points[0]))
	for i, n := range points {
		fmt.Fprintf(&b, "V%.1fH%.1f", y(n), 100*float64(i+1)/float64(len(points)))
	}
	return b.String()
}

// agentRow is an agent.
type agentRow struct {
	ID, Name, Icon, What string
	Clock                template.HTML
	First                bool // the clock goes before what
	Stale                bool
}

// agents are all of them, by state.
type agents struct {
	Rows   []agentRow
	Hidden string
}

// agentIcons are the signs of an agent's states.
var agentIcons = map[string]string{
	view.AgentFree: "free", view.AgentTalking: "talking", view.AgentRinging: "ringing", view.AgentPaused: "paused",
}

func (p *painter) agents() any {
	var all agents
	f := p.snap.Floor
	if f == nil {
		return all
	}
	seen := make(map[string]int)
	for i := range f.Agents {
		a := &f.Agents[i]
		id := fmt.Sprintf("a-%s-%x", a.Server, a.Name)
		if seen[id]++; seen[id] > 1 {
			id += fmt.Sprintf("-%d", seen[id])
		}
		row := agentRow{ID: id, Name: a.Name, Icon: cmp.Or(agentIcons[a.State], "away"), What: a.State, Stale: !a.AsOf.IsZero()}
		switch a.State {
		case view.AgentTalking:
			row.What, row.First = cmp.Or(a.Queue, a.State), true
		case view.AgentPaused:
			row.What = cmp.Or(a.Reason, a.State)
		}
		switch {
		case row.Stale:
			row.What = "as of " + p.moment(a.AsOf)
		case a.State != view.AgentAway && a.State != view.AgentUnknown && a.State != view.AgentRinging:
			row.Clock = p.clock(a.Since)
		}
		all.Rows = append(all.Rows, row)
	}
	if f.AgentsHidden > 0 {
		all.Hidden = count(f.AgentsHidden) + " more agents are not shown."
	}
	return all
}

// foot says of whom the floor is.
type foot struct {
	Live            string
	Partial, Frozen []string
	Shown           bool
}

func (p *painter) foot() any {
	f := p.snap.Floor
	if f == nil {
		return foot{}
	}
	all := foot{Shown: true, Live: fmt.Sprintf("live, %d of %d servers", p.whole(), len(p.snap.Servers)), Partial: p.snap.Partial()}
	for _, s := range f.Stale {
		all.Frozen = append(all.Frozen, strings.TrimSpace(s.Server+" since "+p.moment(s.AsOf)+": its calls, queues and agents are as they were then. "+p.snap.WhyFrozen(s)))
	}
	return all
}

// whole is of how many servers all that is up is known.
func (p *painter) whole() (n int) {
	for i := range p.snap.Servers {
		if s := p.snap.Servers[i].Present; s != nil && s.State == "live" && s.Missing == "" {
			n++
		}
	}
	return n
}

// calls are those that are up.
type calls struct {
	Title, Count string
	Rows         []callRow
	More         string
	Off          string // why they are not known
	Servers      bool   // each is named
	AsOf         string
	Partial      []string // what is not all known
}

type callRow struct {
	Since, Server, Href, Caller, With, Icon, State, Where string
	For                                                   template.HTML
}

// shownCalls is how many calls of all servers are shown.
const shownCalls = 200

func (p *painter) serverCalls() any {
	s := p.server()
	switch {
	case s == nil:
		return calls{Title: "Calls"}
	case s.Present == nil:
		return calls{Title: "Calls", Off: p.snap.NoPresent(s)}
	}
	all, of := p.opts.Calls(s.Name, p.numbers)
	c := calls{Title: "Calls", Count: count(of)}
	if why := s.Partial(); why != "" {
		c.Partial = []string{why}
	}
	if !s.Present.AsOf.IsZero() {
		c.AsOf = p.moment(s.Present.AsOf)
	}
	for i := range all {
		c.Rows = append(c.Rows, p.callRow(s, &all[i]))
	}
	if n := of - len(all); n > 0 {
		c.More = count(n) + " more are not shown."
	}
	return c
}

func (p *painter) allCalls() any {
	if why := p.snap.NoFloor(p.opts.Node); why != "" {
		return calls{Title: "Calls", Off: why}
	}
	type one struct {
		server *view.Server
		call   view.Call
	}
	var all []one
	total := 0
	for i := range p.snap.Servers {
		s := &p.snap.Servers[i]
		if s.Present == nil || !s.Present.AsOf.IsZero() {
			continue
		}
		own, of := p.opts.Calls(s.Name, p.numbers)
		total += of
		for _, c := range own {
			all = append(all, one{s, c})
		}
	}
	slices.SortStableFunc(all, func(a, b one) int { return a.call.Since.Compare(b.call.Since.Time) })
	c := calls{Title: "Calls", Count: count(total), Servers: true, Partial: p.snap.Partial()}
	for _, f := range p.snap.Floor.Stale {
		c.Partial = append(c.Partial, f.Server+": its calls are not known since "+p.moment(f.AsOf)+", and not shown.")
	}
	for _, o := range all[:min(len(all), shownCalls)] {
		c.Rows = append(c.Rows, p.callRow(o.server, &o.call))
	}
	if n := total - len(c.Rows); n > 0 {
		c.More = count(n) + " more are not shown."
	}
	return c
}

func (p *painter) callRow(s *view.Server, c *view.Call) callRow {
	r := callRow{Since: p.moment(c.Since), For: p.clock(c.Since), Server: s.Name, Href: href(s), Caller: cmp.Or(c.Caller, "–"), With: cmp.Or(c.With, "–"),
		State: strings.ToLower(c.State), Where: c.Channel, Icon: "talking"}
	switch {
	case c.Queue != "":
		r.Icon, r.State, r.Where = "waiting", "waiting", c.Queue
	case strings.HasPrefix(r.State, "ring"):
		r.Icon = "ringing"
	case r.State != "up":
		r.Icon = "free"
	}
	return r
}

func (p *painter) callsVerdict() any {
	f := p.snap.Floor
	if f == nil {
		return verdict{State: "unknown", Tone: "quiet", Text: "No calls are known", More: p.snap.NoFloor(p.opts.Node)}
	}
	v := verdict{State: "well", Tone: "ok", Text: count(f.Calls) + " calls are up", More: "The oldest first."}
	if f.Calls == 1 {
		v.Text, v.More = "1 call is up", ""
	}
	v.Figures = []figure{fig("Waiting", count(f.Waiting)), fig("Talking", count(f.Talking)), fig("Free", count(f.Free))}
	return v
}
