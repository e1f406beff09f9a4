package web

import (
	"bytes"
	"fmt"
	"html/template"
	"io"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/view"
)

// The pages that there are.
const (
	viewServers = "servers"
	viewServer  = "server"
	viewFloor   = "floor"
	viewWall    = "wall"
	viewCalls   = "calls"
	viewEvents  = "events"
)

// painter makes what the templates paint, of one snapshot. While it is live it leaves
// out how long something has been: the script knows, and what else is the same is then
// the same text.
type painter struct {
	snap *view.Snapshot
	page what
	now  time.Time
	live bool
	opts *Options

	numbers view.Numbers
}

// part is an element of a page: a template of that name, filled with what make returns.
type part struct {
	name string
	make func(*painter) any
}

// parts are the elements of each page in their order. Each is always there, if only as an
// empty one, so that it can be replaced.
var parts = map[string][]part{
	viewServers: {
		{"verdict", (*painter).verdict}, {"ill", (*painter).ill}, {"memory", (*painter).memory}, {"hello", (*painter).hello},
		{"well", (*painter).well},
		{"delivery", (*painter).delivery}, {"bridges", (*painter).bridges}, {"changes", (*painter).changes},
	},
	viewServer: {
		{"list", (*painter).list}, {"verdict", (*painter).serverVerdict}, {"account", (*painter).account}, {"sessions", (*painter).sessions},
		{"buffers", (*painter).buffers}, {"gaps", (*painter).gaps}, {"lines", (*painter).serverQueues}, {"calls", (*painter).serverCalls},
	},
	viewFloor:  {{"figures", (*painter).figures}, {"queues", (*painter).queues}, {"agents", (*painter).agents}, {"foot", (*painter).foot}},
	viewWall:   {{"figures", (*painter).figures}, {"queues", (*painter).queues}, {"agents", (*painter).agents}, {"foot", (*painter).foot}},
	viewCalls:  {{"verdict", (*painter).callsVerdict}, {"calls", (*painter).allCalls}},
	viewEvents: {{"list", (*painter).eventsList}, {"events", (*painter).events}},
}

func (s *Server) painter(page what, live bool) *painter {
	numbers := s.access.Load().Numbers
	snap := s.opts.Snapshot(numbers)
	return &painter{snap: snap, page: page, now: snap.At.Time, live: live, opts: &s.opts, numbers: numbers}
}

// paint returns the elements of p's page by their names, and the bar.
func (s *Server) paint(p *painter) (order []string, html map[string]template.HTML, err error) {
	html = make(map[string]template.HTML)
	for _, part := range append([]part{{"bar", (*painter).bar}}, parts[p.page.view]...) {
		var b bytes.Buffer
		if err := s.pages.ExecuteTemplate(&b, part.name, part.make(p)); err != nil {
			return nil, nil, fmt.Errorf("render %s: %w", part.name, err)
		}
		order, html[part.name] = append(order, part.name), template.HTML(bytes.TrimSpace(b.Bytes())) // #nosec G203: escaped by its own template
	}
	return order, html, nil
}

// fragments are the elements of a page that is live.
func (s *Server) fragments(page what) ([]fragment, error) {
	order, html, err := s.paint(s.painter(page, true))
	if err != nil {
		return nil, err
	}
	all := make([]fragment, 0, len(order))
	for _, name := range order {
		all = append(all, fragment{ID: name, HTML: string(html[name])})
	}
	return all, nil
}

// whole is a page as the layout has it.
type whole struct {
	View, Title, Query string
	Part               map[string]template.HTML
	Keys               []key
}

// renderPage writes a whole page.
func (s *Server) renderPage(w io.Writer, page what) error {
	p := s.painter(page, false)
	_, html, err := s.paint(p)
	if err != nil {
		return err
	}
	return s.pages.ExecuteTemplate(w, "layout", whole{View: page.view, Title: p.title(), Part: html, Keys: keysOf(page.view)})
}

// key is a key of the keyboard and what it does.
type key struct{ Key, What string }

func keysOf(v string) []key {
	all := []key{{"f", "floor"}, {"w", "wallboard"}, {"c", "calls"}, {"e", "events"}, {"t", "dark or light"}, {"y", "copy as text"}, {"Esc", "back"}, {"?", "keys"}}
	switch v {
	case viewServers:
		return append([]key{{"j k", "move"}, {"Enter", "open"}, {"/", "find"}, {"s", "sort"}}, all...)
	case viewServer:
		return append([]key{{"j k", "next server"}, {"g", "gaps"}}, all...)
	case viewEvents:
		return append([]key{{"j k", "next server"}, {"/", "filter"}, {"p", "pause"}}, all...)
	}
	return append([]key{{"h", "servers"}}, all...)
}

// title is that of the tab: the verdict in a few words.
func (p *painter) title() string {
	t, h := p.snap.Totals, p.snap.Headline
	text := h.Text
	switch {
	case p.page.view == viewServer:
		if s := p.server(); s != nil {
			return sign(s.State) + " " + s.Name + " · ami-nats-bridge"
		}
	case p.page.view == viewFloor || p.page.view == viewWall:
		if f := p.snap.Floor; f != nil {
			return fmt.Sprintf("%d waiting · ami-nats-bridge", f.Waiting)
		}
	case !p.snap.NATS.Up:
		text = "NATS down"
	case t.Ill > 0:
		text = fmt.Sprintf("%d ill", t.Ill)
	case h.State == view.StateWell:
		text = fmt.Sprintf("%d well", t.Servers)
	}
	return sign(h.State) + " " + text + " · ami-nats-bridge"
}

// sign is a state in a tab's title.
func sign(s view.State) string {
	switch {
	case s.Ill():
		return "✕"
	case s == view.StateWell:
		return "✓"
	}
	return "◌"
}

// tone is how loud a state is.
func tone(s view.State) string {
	switch s {
	case view.StateLosing, view.StateDown, view.StateRefused:
		return "bad"
	case view.StateTrouble:
		return "warn"
	case view.StateWell:
		return "ok"
	}
	return "quiet"
}

// age is how long it has been since t, as the script goes on counting it.
func (p *painter) age(t view.Time) template.HTML {
	return p.counting("since", t, view.Age(p.now.Sub(t.Time)))
}

// clock is the same as a clock shows it.
func (p *painter) clock(t view.Time) template.HTML {
	return p.counting("clock", t, view.Clock(p.now.Sub(t.Time)))
}

// until is how long it will be until t, as a clock shows it.
func (p *painter) until(t view.Time) template.HTML {
	return p.counting("until", t, view.Clock(t.Sub(p.now)))
}

// counting is made of numbers and of text of our own alone.
func (p *painter) counting(how string, t view.Time, text string) template.HTML {
	if t.IsZero() {
		return ""
	}
	if p.live {
		text = ""
	}
	return template.HTML(`<span data-` + how + `="` + strconv.FormatInt(t.UnixMilli(), 10) + `">` + text + `</span>`) // #nosec G203: see above
}

// moment is t as somebody now reads it.
func (p *painter) moment(t view.Time) string { return view.Moment(t, p.now) }

// size is n bytes for people.
func size(n int64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	x, i := float64(max(n, 0)), 0
	for x >= 1024 && i < len(units)-1 {
		x, i = x/1024, i+1
	}
	if i == 0 || x >= 100 {
		return strconv.FormatFloat(math.Round(x), 'f', 0, 64) + " " + units[i]
	}
	return strings.TrimSuffix(strconv.FormatFloat(x, 'f', 1, 64), ".0") + " " + units[i]
}

func percent(x float64) string {
	if x < 9.95 {
		return strings.TrimSuffix(strconv.FormatFloat(x, 'f', 1, 64), ".0") + " %"
	}
	return strconv.FormatFloat(math.Round(x), 'f', 0, 64) + " %"
}

// width is a share as a part of a bar that is 100 wide.
func width(share float64) string {
	return strconv.FormatFloat(math.Round(min(max(share, 0), 100)*10)/10, 'f', -1, 64)
}

func count[N ~int | ~int64 | ~uint64](n N) string { return view.Count(uint64(max(n, 0))) }

// orDash is a rate; a dash if it is not known.
func orDash(r *float64) string {
	if r == nil {
		return "–"
	}
	return view.Rate(*r)
}

// number is a count; a dash if it is not known.
func number(n *int) string {
	if n == nil {
		return "–"
	}
	return count(*n)
}
