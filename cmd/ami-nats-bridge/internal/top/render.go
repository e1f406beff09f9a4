package top

import (
	"slices"
	"strings"
	"time"

	"charm.land/lipgloss/v2"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/view"
)

// painter paints one screen.
type painter struct {
	snap *view.Snapshot
	ui   *UI
	now  time.Time
	w, h int
	p    Profile
	once bool // nobody chooses

	lines []*line
}

// The sizes at which the screen has another form.
const (
	narrow   = 60 // below: rows of two lines
	wide     = 110
	tall     = 36 // from here on: details and what changed below the servers
	smallest = 8  // rows; below nothing can be said
)

// Render returns the screen of snap: h lines of w cells.
func Render(snap *view.Snapshot, ui UI, w, h int, p Profile) string {
	lines := paint(snap, ui, w, h, p)
	screen := make([]string, len(lines))
	for i, l := range lines {
		screen[i] = l.paint(w, p)
	}
	return strings.Join(screen, "\n")
}

// Text returns the same as text without colours, for a ticket.
func Text(snap *view.Snapshot, ui UI, w, h int, p Profile) string {
	var b strings.Builder
	for _, l := range paint(snap, ui, w, h, p) {
		b.WriteString(l.plain(p) + "\n")
	}
	return b.String()
}

// Once returns how all servers are, for a terminal of w columns that shows it once.
func Once(snap *view.Snapshot, src Source, w int, p Profile) string {
	a := &painter{snap: snap, ui: &UI{Source: src}, now: snap.At.Time, w: max(w, 20), h: 1 << 20, p: p, once: true}
	a.top()
	a.servers()
	var b strings.Builder
	for _, l := range a.lines {
		b.WriteString(strings.TrimRight(l.paint(a.w, p), " ") + "\n")
	}
	return b.String()
}

func paint(snap *view.Snapshot, ui UI, w, h int, p Profile) []*line {
	w, h = max(w, 1), max(h, 1)
	a := &painter{snap: snap, ui: &ui, now: snap.At.Time, w: w, h: h, p: p}
	a.top()
	switch ui.Page {
	case PageServer:
		a.server()
	case PageCalls:
		a.calls()
	case PageGaps:
		a.gaps()
	case PageEvents:
		a.events()
	case PageFloor:
		a.floor()
	case PageKeys:
		a.keysPage()
	default:
		a.servers()
	}
	a.fill(h - 1)
	a.keys()
	return a.lines[:h]
}

// next begins a line.
func (a *painter) next() *line {
	l := new(line)
	a.lines = append(a.lines, l.add(plain, " "))
	return l
}

// blank is an empty line.
func (a *painter) blank() { a.lines = append(a.lines, new(line)) }

// fill makes the screen n lines long, whatever it is now.
func (a *painter) fill(n int) {
	for len(a.lines) < n {
		a.blank()
	}
	a.lines = a.lines[:max(n, 0)]
}

// room is how many lines are left above the line of keys.
func (a *painter) room() int { return a.h - 1 - len(a.lines) }

// top is the bar: the program, the bridges, NATS and the clock.
func (a *painter) top() {
	l := a.next()
	right := new(line)
	clock := a.clock().Format("15:04:05 MST")
	if a.ui.Times == TimesUTC {
		clock = a.clock().UTC().Format("15:04:05 MST")
	}
	if a.w < narrow {
		clock = clock[:5]
	}
	a.nats(right)
	right.add(plain, " ").add(plain, clock).add(plain, " ")
	room := a.w - right.width() - 1
	if a.w >= narrow {
		l.add(bold, "ami-nats-bridge ").add(dim, a.name())
	} else {
		l.add(bold, "top")
	}
	l.add(plain, cut("  "+a.bridges(), max(0, room-l.width())))
	if a.once {
		l.add(plain, "  ")
	} else {
		l.to(a.w - right.width())
	}
	l.spans = append(l.spans, right.spans...)
	a.note(a.ui.Source.Note())
}

// name is the subcommand's.
func (a *painter) name() string {
	if a.once {
		return "status"
	}
	return "top"
}

// clock is the time that it is. What is shown may be older.
func (a *painter) clock() time.Time {
	if a.ui.Now.IsZero() {
		return a.now
	}
	return a.ui.Now
}

func (a *painter) nats(l *line) {
	word, up, tone := "up", a.snap.NATS.Up, ok
	switch {
	case a.ui.Source.Asking:
		return
	case !a.ui.Source.Silent.IsZero():
		l.add(dim, a.p.either("◌", "?")+" not live")
		return
	case !up || a.ui.Source.ByHTTP && a.ui.Source.NATSErr != "":
		word, tone, up = "down", bad, false
	}
	sign := a.p.either("●", "o")
	if !up {
		sign = a.p.either("✖", "X")
	}
	l.add(tone, sign+" ")
	if a.w < narrow {
		word = ""
	}
	if up {
		tone = plain
	}
	l.add(tone, strings.TrimRight("NATS "+word, " ")+" ")
}

// bridges is who there is: b1 leader, b2 in sync.
func (a *painter) bridges() string {
	var all []string
	asked := a.ui.Source.ByHTTP // and of the others it knows less
	for i := range a.snap.Bridges {
		b := &a.snap.Bridges[i]
		text := b.Node
		if asked && b.Version != "" {
			asked, text = false, text+" over HTTP,"
		}
		if role := b.Role(); role != "" {
			text += " " + role
		}
		all = append(all, strings.TrimSuffix(text, ","))
	}
	if len(all) > 4 {
		all = append(all[:3], number(len(a.snap.Bridges)-3)+" more")
	}
	return strings.Join(all, ", ")
}

// headline is the verdict on all, and the figures that there is room for.
func (a *painter) headline() {
	switch src := a.ui.Source; {
	case src.Asking:
		a.next().add(dim, a.p.either("◌", "?")+" asking "+strings.Join(strings.Fields(src.NATS+" "+src.HTTP), ", "))
		return
	case !src.Silent.IsZero():
		a.silent(src.Silent)
		return
	}
	h, t := a.snap.Headline, a.snap.Totals
	l := a.next()
	sign, tone := a.p.sign(h.State)
	if h.State == view.StateWell {
		l.add(tone, sign).add(bold, " "+h.Text)
	} else {
		l.add(tone, sign+" "+h.Text)
	}
	figure := func(name, value string) {
		if value != "" && l.width()+3+lipgloss.Width(name)+1+lipgloss.Width(value) < a.w {
			l.add(dim, "   "+name+" ").add(plain, value)
		}
	}
	if a.w < narrow {
		l = a.next().add(dim, " ")
		figure("lost", plus(t))
		figure("events", perSecond(t.In))
		return
	}
	if t.Servers == 0 {
		return
	}
	if !a.snap.NATS.Up {
		figure("wait", view.Count(t.Queued))
	}
	if !a.once || t.Lost > 0 || t.LostMore { // who looks once has seen nothing get lost
		figure("lost", plus(t)+" in "+view.Age(a.now.Sub(t.LostSince.Time)))
	}
	figure("events", perSecond(t.In))
	if t.Waiting != nil {
		figure("waiting", number(*t.Waiting))
		figure("calls", number(*t.Calls))
	}
	streams := a.streams()
	if !a.snap.NATS.Up {
		streams = "" // as they were before
	}
	if streams != "ok" {
		figure("streams", streams)
	}
	figure("stored", perSecond(t.Stored))
	if t.Refused != nil && *t.Refused > 0 {
		figure("refused", view.Count(*t.Refused))
	}
	figure("actions", perSecond(t.Actions))
	if streams == "ok" {
		figure("streams", streams)
	}
}

// perSecond is a rate; empty if it is not known.
func perSecond(rate *float64) string {
	if rate == nil {
		return ""
	}
	return view.Rate(*rate) + "/s"
}

// plus is the number of lost events, with a plus if there are others.
func plus(t view.Totals) string {
	text := view.Count(t.Lost)
	if t.LostMore {
		text += "+"
	}
	return text
}

// streams says whether all streams of the bridges that live are well.
func (a *painter) streams() string {
	var ill []string
	n := 0
	for i := range a.snap.Bridges {
		for _, s := range a.snap.Bridges[i].Delivery.Streams {
			n++
			if text := s.Name + " " + s.State; a.snap.Bridges[i].Live && s.State != "ok" && s.State != "off" && !slices.Contains(ill, text) {
				ill = append(ill, text)
			}
		}
	}
	switch {
	case n == 0:
		return ""
	case len(ill) == 0:
		return "ok"
	}
	return strings.Join(ill, ", ")
}

// more is what the headline says further.
func (a *painter) more() {
	limit := 1
	if !a.snap.NATS.Up {
		limit = 3
	}
	if !a.ui.Source.Silent.IsZero() || a.ui.Source.Asking || a.w < narrow {
		return
	}
	for _, text := range wrap(a.snap.Headline.More, a.w-4, limit) {
		a.next().add(plain, "  ").add(dim, text)
	}
	for i := range a.snap.Bridges {
		a.losses(&a.snap.Bridges[i])
	}
	if src := a.ui.Source; src.ByHTTP && src.NATS != "" {
		a.next().add(plain, "  ").add(dim, "read from "+src.HTTP+"; goes back by itself when NATS answers")
	}
}

// losses says what a bridge that lives has lost or cannot do.
func (a *painter) losses(b *view.Bridge) {
	var all []string
	for _, loss := range b.Losses() {
		all = append(all, loss.Name+" "+loss.Value)
	}
	if b.Live && len(all) > 0 {
		a.next().add(plain, "  ").add(warn, cut(b.Node+": "+strings.Join(all, ", "), a.w-4))
	}
}

// silent says that nothing answers.
func (a *painter) silent(at time.Time) {
	src := a.ui.Source
	l := a.next()
	l.add(bad, a.p.either("✖", "X")+" nothing answers since "+view.Moment(view.Time{Time: at}, a.clock())+" ("+view.Clock(a.clock().Sub(at))+")")
	if src.NATS != "" {
		a.next().add(plain, "  NATS  ").cell(plain, src.NATS, 32).add(dim, src.NATSErr)
	}
	if src.HTTP != "" {
		a.next().add(plain, "  HTTP  ").cell(plain, src.HTTP, 32).add(dim, src.HTTPErr)
	}
	a.next().add(dim, "  The bridge may be stopped. What is below is as it was then.")
}

// keys is the last line.
func (a *painter) keys() {
	l := a.next()
	switch {
	case a.ui.Typing && a.ui.Page == PageEvents:
		l.add(blue, "/").add(plain, a.ui.EventFilter+"_").add(dim, "   events as tail takes them: Hangup, Queue*,Dial*")
		return
	case a.ui.Typing:
		ill, match := a.matches()
		l.add(blue, "/").add(plain, a.ui.Filter+"_").add(dim, "   "+number(match)+" of "+number(len(a.snap.Servers))+" match"+ill)
		return
	case a.ui.Note != "":
		l.add(plain, a.ui.Note)
		return
	}
	last := []hint{{"?", "keys"}, {"q", "quit"}}
	room := a.w - l.width()
	for _, k := range last {
		room -= k.width()
	}
	var shown []hint
	for _, k := range a.hints() {
		if k.width() <= room {
			shown, room = append(shown, k), room-k.width()
		}
	}
	for _, k := range append(shown, last...) {
		l.add(blue, k.key).add(dim, " "+k.what+"  ")
	}
}

// hint is a key and what it does.
type hint struct{ key, what string }

func (h hint) width() int { return lipgloss.Width(h.key) + lipgloss.Width(h.what) + 3 }

func (a *painter) hints() []hint {
	move := hint{a.p.either("↑↓", "jk"), "move"}
	enter := a.p.either("⏎", "Enter")
	switch a.ui.Page {
	case PageServer:
		return []hint{{"Esc", "back"}, {move.key, "next server"}, {"c", "calls"}, {"e", "events"}, {"g", "gaps"}, {"y", "copy"}}
	case PageEvents:
		return []hint{{"Esc", "back"}, {move.key, "look at one"}, {"/", "names"}, {"space", "stop"}, {"y", "copy"}}
	case PageCalls, PageGaps:
		return []hint{{"Esc", "back"}, {move.key, "scroll"}, {"y", "copy"}}
	case PageFloor:
		return []hint{move, {enter, "callers"}, {"a", "agents only"}, {"Tab", "servers"}}
	case PageKeys:
		return []hint{{"Esc", "back"}}
	}
	if a.ui.Paused {
		return []hint{{"space", "go on"}, move, {enter, "open"}}
	}
	return []hint{move, {enter, "open"}, {"f", "floor"}, {"c", "calls"}, {"e", "events"}, {"/", "find"}, {"s", "sort: " + a.ui.Sort.String()}, {"i", "ill only"}, {"space", "stop"}, {"y", "copy"}, {"z", "times"}}
}
