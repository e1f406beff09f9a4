package web

import (
	"cmp"
	"fmt"
	"html/template"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/view"
)

// bar is the top of each page.
type bar struct {
	View, Title string
	Node, Role  string
	NATS        string // its word
	NATSTone    string
	Clock, Zone string
	Offset      int // of the zone, in seconds
	Now         int64
}

func (p *painter) bar() any {
	name, offset := p.now.Zone()
	b := bar{View: p.page.view, Title: p.title(), Node: p.opts.Node, NATS: "up", NATSTone: "ok", Zone: name, Offset: offset}
	if !p.live { // the script has the time from each beat
		b.Clock, b.Now = p.now.Format("15:04:05"), p.now.UnixMilli()
	}
	if !p.snap.NATS.Up {
		b.NATS, b.NATSTone = "down", "bad"
	}
	for i := range p.snap.Bridges {
		if p.snap.Bridges[i].Node == p.opts.Node {
			b.Role = p.snap.Bridges[i].Role()
		}
	}
	return b
}

// verdict is what is to be understood within a second, and five figures.
type verdict struct {
	State, Tone string
	Text, More  string
	Figures     []figure
}

// figure is a number with its name.
type figure struct {
	Name, Tone string
	Value      template.HTML
}

func fig(name string, value string) figure {
	return figure{Name: name, Value: template.HTML(template.HTMLEscapeString(value))} // #nosec G203: escaped
}

func (p *painter) verdict() any {
	h, t := p.snap.Headline, p.snap.Totals
	v := verdict{State: string(h.State), Tone: tone(h.State), Text: h.Text, More: h.More}
	lost := fig("Lost, "+view.Age(p.now.Sub(t.LostSince.Time).Round(time.Minute)), view.Count(t.Lost))
	if t.LostMore {
		lost.Value += "+"
	}
	if t.Lost > 0 || t.LostMore {
		lost.Tone = "bad"
	}
	if !p.snap.NATS.Up {
		v.Figures = []figure{fig("Events/s in", orDash(t.In)), fig("Waiting for NATS", view.Count(t.Queued))}
		if since := p.snap.NATS.Since; !since.IsZero() {
			v.Figures = append(v.Figures, figure{Name: "Down for", Value: p.clock(since)})
		}
		v.Figures = append(v.Figures, lost)
		return v
	}
	v.Figures = []figure{fig("Events/s", orDash(t.In)), fig("Stored/s", orDash(t.Stored)), fig("Actions/s", orDash(t.Actions))}
	if t.Calls != nil {
		v.Figures = append(v.Figures, fig("Calls up", number(t.Calls)), fig("Waiting", number(t.Waiting)))
	}
	v.Figures = append(v.Figures, lost)
	return v
}

// well is the table of the servers that are not ill.
type well struct {
	Title   string
	Count   string
	Columns []column
	Rows    []wellRow
	State   bool // the floor is known
	Shared  bool // bridges share servers
	Find    string
	Sort    string
}

type column struct {
	Name, Sort, Class string
	Sorted            bool
}

type wellRow struct {
	ID, Name, Href, State, Tone, Word string
	In, Stored, Spark, Outbox         string
	P95, Refused, Calls, Waiting, Gap string
	Sessions, Breaker, Pending        string
	Dropped                           string
	RefusedAs, Leads, LeadsTone       string // RefusedAs and Leads say it in words
}

// sorts are the columns by which the table may be sorted, the most first; "" is by name.
var sorts = map[string]func(a, b *view.Server) int{
	"":        func(a, b *view.Server) int { return cmp.Compare(a.Name, b.Name) },
	"events":  func(a, b *view.Server) int { return cmp.Compare(rateOf(b), rateOf(a)) },
	"outbox":  func(a, b *view.Server) int { return cmp.Compare(fillOf(b), fillOf(a)) },
	"calls":   func(a, b *view.Server) int { return cmp.Compare(presentOf(b).Calls, presentOf(a).Calls) },
	"waiting": func(a, b *view.Server) int { return cmp.Compare(presentOf(b).Waiting, presentOf(a).Waiting) },
}

func rateOf(s *view.Server) float64 {
	if s.Rates == nil {
		return -1
	}
	return s.Rates.In
}

func fillOf(s *view.Server) float64 {
	if s.Buffers == nil {
		return -1
	}
	return s.Buffers.Outbox.Percent()
}

func presentOf(s *view.Server) view.Present {
	if s.Present == nil {
		return view.Present{Calls: -1, Waiting: -1}
	}
	return *s.Present
}

func (p *painter) well() any {
	w := well{Title: "Servers", State: p.snap.Floor != nil, Find: p.page.find, Sort: p.page.sort}
	var all []*view.Server
	quiet := false
	for i := range p.snap.Servers {
		if s := &p.snap.Servers[i]; !p.isIll(s) && matches(s, p.page.find) {
			all = append(all, s)
			quiet = quiet || s.State != view.StateWell
		}
		w.Shared = w.Shared || p.snap.Servers[i].HA != nil
	}
	if p.snap.Totals.Ill > 0 && p.snap.NATS.Up {
		w.Title = "Well"
		if quiet {
			w.Title = "The others"
		}
	}
	less := sorts[p.page.sort]
	slices.SortStableFunc(all, func(a, b *view.Server) int { // what is not known comes first
		return cmp.Or(boolCompare(b.State == view.StateUnknown, a.State == view.StateUnknown), less(a, b))
	})
	w.Count, w.Columns = count(len(all)), p.columns(w.Shared, w.State)
	for _, s := range all {
		w.Rows = append(w.Rows, p.wellRow(s))
	}
	return w
}

// columns are those of the table.
func (p *painter) columns(shared, state bool) (all []column) {
	for _, c := range []struct {
		column
		not bool
	}{
		{column{"Server", "", "", false}, false}, {column{"Up for", "-", "", false}, false}, {column{"Leads", "-", "", false}, !shared},
		{column{"Events/s", "events", "r", false}, false}, {column{"Stored/s", "-", "r", false}, false}, {column{"10 min", "-", "spark", false}, false},
		{column{"Outbox", "outbox", "r", false}, false}, {column{"Actions p95", "-", "r", false}, false}, {column{"In flight", "-", "r", false}, false}, {column{"Refused", "-", "r", false}, false},
		{column{"Calls", "calls", "r", false}, !state}, {column{"Waiting", "waiting", "r", false}, !state}, {column{"Last gap", "-", "r", false}, false},
		{column{"Dropped", "-", "r", false}, false}, {column{"Sessions", "-", "", false}, false}, {column{"Breaker", "-", "", false}, false},
	} {
		if c.Sorted = c.Sort == p.page.sort; !c.not {
			all = append(all, c.column)
		}
	}
	return all
}

func boolCompare(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

func (p *painter) wellRow(s *view.Server) wellRow {
	r := wellRow{ID: "s-" + s.Name, Name: s.Name, Href: href(s), State: string(s.State), Tone: tone(s.State), Word: s.Word, In: "–", Stored: "–", Outbox: "–", P95: "–", Refused: "–", Gap: "none"}
	switch {
	case s.State.Ill():
		r.Word = "waits for NATS"
	case s.State == view.StateWell:
		r.Word = strings.TrimPrefix(s.Word, view.StateWell.Word()+" ")
	}
	if s.Rates != nil {
		r.In, r.Spark = view.Rate(s.Rates.In), spark(s.Rates.InPast, nil)
		if !s.LedElsewhere() {
			r.Stored = view.Rate(s.Rates.Stored)
		}
		if s.Rates.P95 != nil {
			r.P95 = millis(*s.Rates.P95)
		}
	}
	if s.Refused != nil {
		r.Refused, r.RefusedAs = count(s.Refused.Count), s.Refused.Text(p.now)
	}
	if s.HA != nil {
		r.Leads, r.LeadsTone = s.HA.Text(), "warn"
		if s.HA.Covered() && s.HA.Leader != "" {
			r.LeadsTone = "second"
		}
	}
	if s.Buffers != nil {
		r.Outbox = percent(s.Buffers.Outbox.Percent())
	}
	if s.Present != nil {
		r.Calls, r.Waiting = count(s.Present.Calls), count(s.Present.Waiting)
	}
	r.Sessions, r.Breaker, r.Pending, r.Dropped = s.SessionsText(), s.BreakerText(), s.PendingText(), s.DroppedText()
	if len(s.Gaps) > 0 {
		r.Gap = p.moment(s.Gaps[0].To)
	}
	return r
}

// millis are milliseconds for people.
func millis(ms float64) string {
	if ms >= 1000 {
		return strconv.FormatFloat(ms/1000, 'f', 1, 64) + " s"
	}
	return strconv.FormatFloat(ms, 'f', map[bool]int{true: 1, false: 0}[ms < 9.95], 64) + " ms"
}

// matches looks for text in a server's name, word and reason, and in who leads it.
func matches(s *view.Server, text string) bool {
	text = strings.ToLower(text)
	for _, in := range []string{s.Name, s.Word, string(s.State), s.Reason, s.Why, s.HA.Who()} {
		if strings.Contains(strings.ToLower(in), text) {
			return true
		}
	}
	return false
}

// spark is a line through points as the path of an SVG that is 100 wide and 20 high. Its
// scale is that of the largest in points and others, and begins at 0.
func spark(points, others []uint64) string {
	if len(points) < 3 {
		return ""
	}
	points = points[:len(points)-1] // the last is not over
	most := uint64(1)
	for _, n := range points {
		most = max(most, n)
	}
	for _, n := range others {
		most = max(most, n)
	}
	var b strings.Builder
	for i, n := range points {
		letter := byte('L')
		if i == 0 {
			letter = 'M'
		}
		fmt.Fprintf(&b, "%c%.1f %.1f", letter, 100*float64(i)/float64(len(points)-1), 19-18*float64(n)/float64(most))
	}
	return b.String()
}
