package top

import (
	"strings"

	"charm.land/lipgloss/v2"
)

// fieldRows is how many lines of an event's fields there are below the list.
const fieldRows = 7

// events are those of one server, as they come, and all of the one that is chosen.
func (a *painter) events() {
	s := a.selected()
	if s == nil {
		return
	}
	a.trail(s, "events")
	t := &a.ui.Events
	l := a.next().add(plain, number(int64(t.Seen))).add(dim, " of "+number(int64(t.Of))+" since it was opened")
	if a.ui.EventFilter != "" {
		l.add(blue, "   /").add(plain, a.ui.EventFilter)
	}
	if a.ui.Paused {
		l.add(warn, "   stopped")
	}
	if room := a.w - l.width() - 4; lipgloss.Width(t.Subject) < room {
		l.add(dim, "   "+t.Subject)
	}
	if t.Note != "" {
		a.next().add(warn, t.Note)
	}
	a.blank()
	a.next().cell(dim, "TIME", 12).cell(dim, "EVENT", a.eventWidth()).add(dim, "WHAT")
	below := 0
	if a.room() > fieldRows+8 {
		below = fieldRows + 1
	}
	chosen := min(a.ui.Scroll, max(0, len(t.Events)-1))
	room := max(1, a.room()-below)
	first := max(0, chosen-room+1)
	for i := first; i < len(t.Events) && i < first+room; i++ {
		e := &t.Events[i]
		at, tone := e.At.In(a.clock().Location()), plain
		if a.ui.Times == TimesUTC {
			at = at.UTC()
		}
		l := a.next()
		if e.Gap {
			tone = bad
		}
		l.cell(dim, at.Format("15:04:05.000"), 12).cell(tone, e.Name, a.eventWidth()).add(tone, cut(e.Says, max(0, a.w-l.width())))
		if i == chosen {
			a.mark(l)
		}
	}
	if len(t.Events) == 0 {
		a.next().add(dim, "No event has come yet.")
		return
	}
	if below > 0 {
		a.fill(a.h - 1 - below)
		a.fields(&t.Events[chosen])
	}
}

// eventWidth is that of the column of names.
func (a *painter) eventWidth() int {
	if a.w < narrow {
		return 16
	}
	return 22
}

// fields are all that an event has, in two columns where there is room.
func (a *painter) fields(e *Event) {
	rule := a.p.either("─", "-")
	a.next().add(dim, rule+" "+e.Name+" "+strings.Repeat(rule, max(0, a.w-lipgloss.Width(e.Name)-6)))
	across := 1
	if a.w >= narrow {
		across = 2
	}
	w := (a.w - 2) / across
	for i := 0; i < len(e.Fields) && a.room() > 0; i += across {
		l := a.next()
		for k := i; k < len(e.Fields) && k < i+across; k++ {
			name := min(20, w/2)
			l.cell(dim, e.Fields[k].Name, name).cell(plain, e.Fields[k].Value, max(1, w-name-3))
		}
	}
}
