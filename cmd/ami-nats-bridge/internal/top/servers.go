package top

import (
	"cmp"
	"slices"
	"strings"

	"charm.land/lipgloss/v2"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/view"
)

// servers is the list.
func (a *painter) servers() {
	a.headline()
	a.more()
	if a.ui.Filter != "" && !a.ui.Typing {
		hidden, n := a.matches()
		a.next().add(dim, "  /"+a.ui.Filter+": "+number(n)+" of "+number(len(a.snap.Servers))+" match"+hidden)
	}
	all := Visible(a.snap, a.ui)
	split := !a.once && a.h >= tall && a.w >= wide && a.ui.Source.Silent.IsZero() && len(all) > 0
	below := 0
	if split {
		below = 15
	}
	if a.w < narrow {
		a.blank()
		a.list(all, below, func(s *view.Server) []*line { return a.narrowRow(s) })
		return
	}
	if a.room() > smallest {
		a.blank()
	}
	c := a.columns()
	a.header(c)
	a.list(all, below, func(s *view.Server) []*line { return a.row(s, c) })
	if split {
		a.fill(a.h - 1 - below)
		a.details(chosen(all, a.ui.Selected))
	}
}

// chosen is the server of that name, or the first.
func chosen(all []*view.Server, name string) *view.Server {
	for _, s := range all {
		if s.Name == name {
			return s
		}
	}
	return all[0]
}

// list paints as many servers as there is room for, and has the chosen one among them.
// Ill ones are at the top of it.
func (a *painter) list(all []*view.Server, below int, rows func(*view.Server) []*line) {
	room := a.h - 1 - below - len(a.lines)
	var lines []*line
	first, last := 0, 0 // of the chosen one
	for i, s := range all {
		if i > 0 && all[i-1].State.Ill() && !s.State.Ill() && len(all) > i {
			lines = append(lines, new(line))
		}
		row := rows(s)
		if !a.once && (s.Name == a.ui.Selected || a.ui.Selected == "" && i == 0) {
			a.mark(row[0])
			first, last = len(lines), len(lines)+len(row)
		}
		lines = append(lines, row...)
	}
	if len(lines) > room && room > 1 {
		start := min(max(0, last-(room-1)), first)
		end := min(len(lines), start+room-1)
		more := len(lines) - end + start
		lines = append(slices.Clone(lines[start:end]), new(line).add(dim, "   "+number(more)+" more lines"))
	}
	a.lines = append(a.lines, lines[:min(len(lines), max(room, 0))]...)
	if len(all) == 0 {
		a.nothing()
	}
}

// mark has l show that it is the chosen one's. Where the signs are not Unicode's, a > takes
// the place of the blank that it begins with.
func (a *painter) mark(l *line) {
	l.selected = true
	if !a.p.signs() {
		l.spans[0].text = ">"
	}
}

// nothing says why there is no server.
func (a *painter) nothing() {
	text := "No server matches. Esc shows all."
	switch {
	case a.ui.Source.Asking:
		return
	case len(a.snap.Servers) == 0:
		text = "No bridge has told of a server yet."
	case a.ui.IllOnly && a.ui.Filter == "":
		text = "No server is ill. i shows all."
	}
	a.next().add(dim, "  "+text)
	if why := a.ui.Source.NATSErr; why != "" && len(a.snap.Servers) == 0 {
		a.next().add(bad, "  "+why)
	}
}

func (a *painter) header(c columns) {
	l := a.next()
	mark := func(s Sort, text string) string {
		switch {
		case s != a.ui.Sort || s == SortName && !a.ui.Turned:
			return text
		case a.ui.Turned:
			return text + a.p.either("↑", "^")
		}
		return text + a.p.either("↓", "v")
	}
	l.add(plain, "  ").cell(dim, mark(SortName, "SERVER"), c.name).cell(dim, "STATE", 13)
	if c.memory {
		l.cell(dim, "MEMORY", c.since).cell(dim, "LASTS", c.until)
	} else {
		l.cell(dim, "SINCE", c.since).cell(dim, "UNTIL", c.until)
	}
	if c.leads > 0 {
		l.cell(dim, "LEADS", c.leads)
	}
	l.number(dim, mark(SortEvents, "EV/S"), 6)
	if c.stored > 0 {
		l.number(dim, "STORED", c.stored)
	}
	if c.spark > 0 {
		l.add(plain, " ").cell(dim, "10 MIN", c.spark)
	}
	l.number(dim, mark(SortOutbox, "OUTBOX"), 7)
	if c.bar > 0 {
		l.add(plain, strings.Repeat(" ", c.bar+1))
	}
	l.number(dim, mark(SortCalls, "CALLS"), 5).number(dim, mark(SortWaiting, "WAIT"), 4)
	if c.pending > 0 {
		l.number(dim, "PENDING", c.pending)
	}
	if c.refused > 0 {
		l.number(dim, "REFUSED", c.refused)
	}
	if c.dropped > 0 {
		l.number(dim, "DROPPED", c.dropped)
	}
	for _, last := range []struct {
		name string
		n    int
	}{{"LOST", c.lost}, {"LAST GAP", c.gap}, {"SESSIONS", c.sessions}, {"BREAKER", c.breaker}, {"STANDS BY", c.stands}} {
		if last.n > 0 {
			l.add(plain, " ").cell(dim, last.name, last.n)
		}
	}
}

// row is a server in one line, or in two if it is ill.
func (a *painter) row(s *view.Server, c columns) []*line {
	l := new(line).add(plain, " ")
	sign, tone := a.p.sign(s.State)
	if !a.ui.Source.Silent.IsZero() {
		sign, tone = a.p.sign(view.StateUnknown)
	}
	l.add(tone, sign+" ")
	word, name := a.quiet(s), plain
	if s.State.Ill() {
		word, name = strings.ToUpper(s.State.Word()), bold
	} else {
		tone = dim
	}
	l.cell(name, s.Name, c.name).cell(tone, word, 13)
	if c.memory && s.Buffers != nil {
		l.cell(a.level(s), a.p.bar(s.Buffers.Outbox.Percent(), c.since), c.since)
	} else {
		l.cell(plain, a.since(s), c.since)
	}
	next := until(&s.Verdict, a.now)
	if c.memory {
		next = strings.TrimPrefix(next, view.UntilFull+" ")
	}
	l.cell(plain, next, c.until)
	if c.leads > 0 {
		a.leads(l, s.HA, c.leads)
	}
	a.figures(l, s, c)
	a.rest(l, s, c)
	if !s.State.Ill() || a.isAsAll(s) {
		return []*line{l}
	}
	return []*line{l, new(line).add(plain, "   ").add(dim, reason(s))}
}

// isAsAll says whether what is wrong with s is in the headline already: that NATS is down.
func (a *painter) isAsAll(s *view.Server) bool {
	return !a.snap.NATS.Up && s.State == view.StateTrouble && s.Reason == "" && s.Losing == nil
}

// quiet is the word of a server that is not ill.
func (a *painter) quiet(s *view.Server) string {
	switch {
	case s.LedElsewhere():
		return s.Word
	case s.State == view.StateWell && s.Since.IsZero():
		return "up"
	case s.State == view.StateWell:
		return "up " + short(a.now.Sub(s.Since.Time))
	case s.State == view.StateUnknown:
		return "not known"
	}
	return s.State.Word()
}

// since is since when a server is as it is; what is well says for how long.
func (a *painter) since(s *view.Server) string {
	if s.State == view.StateWell || s.Since.IsZero() {
		return ""
	}
	return a.ui.when(s.Since, a.now)
}

func (a *painter) figures(l *line, s *view.Server, c columns) {
	live := s.State != view.StateDown && s.State != view.StateRefused && s.State != view.StateUnknown
	events, stored, past := "-", "-", ""
	if s.Rates != nil {
		if live {
			events, stored = brief(s.Rates.In), brief(s.Rates.Stored)
			if s.LedElsewhere() {
				stored = "-" // by another bridge
			}
		}
		past = a.p.spark(s.Rates.InPast, c.spark)
	}
	l.number(plain, events, 6)
	if c.stored > 0 {
		l.number(plain, stored, c.stored)
	}
	if c.spark > 0 {
		l.add(plain, " ").cell(dim, past, c.spark)
	}
	full, bar := "-", ""
	if s.Buffers != nil && s.State != view.StateUnknown {
		full = percent(&s.Buffers.Outbox)
		if p := s.Buffers.Outbox.Percent(); p >= 1 {
			bar = a.p.bar(p, c.bar)
		}
	}
	l.number(plain, full, 7)
	if c.bar > 0 {
		l.cell(a.level(s), bar, c.bar)
	}
	calls, waiting := "-", "-"
	if p := s.Present; p != nil && p.State != "stale" {
		calls, waiting = number(p.Calls), number(p.Waiting)
	}
	l.number(plain, calls, 5).number(plain, waiting, 4)
}

// rest is what stands where there is room for it.
func (a *painter) rest(l *line, s *view.Server, c columns) {
	if c.pending > 0 {
		l.number(plain, orDash(s.PendingText()), c.pending)
	}
	if c.refused > 0 {
		text := "-"
		if s.Refused != nil {
			text = view.Count(s.Refused.Count)
		}
		l.number(plain, text, c.refused)
	}
	if c.dropped > 0 {
		l.number(plain, orDash(s.DroppedText()), c.dropped)
	}
	if c.lost > 0 {
		l.add(plain, " ").cell(bad, lostShort(s.Losing), c.lost)
	}
	if c.gap > 0 {
		l.add(plain, " ").cell(dim, a.lastGap(s), c.gap)
	}
	if c.sessions > 0 {
		l.add(plain, " ").cell(dim, orDash(s.SessionsText()), c.sessions)
	}
	if c.breaker > 0 {
		l.add(plain, " ").cell(dim, orDash(s.BreakerText()), c.breaker)
	}
	if c.stands > 0 && s.HA != nil {
		l.add(plain, " ").cell(dim, s.HA.StandbysText(), c.stands)
	}
}

// orDash is text, or a dash for what is not known.
func orDash(text string) string { return cmp.Or(text, "-") }

// level is the tone of a server's outbox.
func (a *painter) level(s *view.Server) tone {
	switch {
	case s.State == view.StateLosing:
		return bad
	case s.Buffers != nil && (s.Buffers.Outbox.Level == "high" || s.Buffers.Outbox.Level == "full"):
		return warn
	}
	return dim
}

// narrowRow is a server where there are few columns.
func (a *painter) narrowRow(s *view.Server) []*line {
	sign, tone := a.p.sign(s.State)
	l := new(line).add(plain, " ").add(tone, sign+" ")
	name := max(6, a.w-28)
	if s.State.Ill() {
		l.cell(bold, s.Name, name).cell(tone, strings.ToUpper(s.State.Word()), 13).add(plain, until(&s.Verdict, a.now))
		why := new(line).add(plain, "   ")
		if s.HA != nil {
			a.leads(why, s.HA, min(lipgloss.Width(s.HA.Who())+2, 10))
		}
		return []*line{l, why.add(dim, reason(s))}
	}
	l.cell(plain, s.Name, name)
	if s.HA != nil && s.State == view.StateWell { // its sign says that it is up
		a.leads(l, s.HA, 10)
	} else {
		l.cell(dim, a.quiet(s), 10)
	}
	if s.Rates != nil {
		l.number(plain, brief(s.Rates.In)+"/s", 8)
	}
	return []*line{l}
}

// note is a line of its own, of what is not right; none without one.
func (a *painter) note(text string) {
	if text != "" {
		a.next().add(warn, cut(text, a.w-1))
	}
}
