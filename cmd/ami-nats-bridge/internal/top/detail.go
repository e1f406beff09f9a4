package top

import (
	"maps"
	"slices"
	"strings"

	"charm.land/lipgloss/v2"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/view"
)

// details are, below the servers, those of one, and what changed.
func (a *painter) details(s *view.Server) {
	left := a.w * 3 / 5
	rule := a.p.either("─", "-")
	head := func(text string, n int) string {
		text = rule + rule + " " + cut(text, n-6) + " "
		return text + strings.Repeat(rule, max(0, n-lipgloss.Width(text)-2))
	}
	a.next().add(dim, head(s.Name, left)).add(plain, "  ").add(dim, head("What changed", a.w-left-3))
	rows := a.sideOf(s, left-4)
	when, who := 0, 0
	for _, c := range a.snap.Changes[:min(len(a.snap.Changes), max(0, a.room()))] {
		when, who = max(when, lipgloss.Width(a.ui.when(c.At, a.now))), max(who, min(20, len(c.Server+c.Node)))
	}
	for i := 0; a.room() > 0; i++ {
		l := a.next().add(plain, "  ")
		if i < len(rows) {
			for _, sp := range rows[i].spans {
				l.add(sp.tone, cut(sp.text, max(0, left-l.width())))
			}
		}
		l.to(left + 2)
		if i < len(a.snap.Changes) {
			a.change(l, &a.snap.Changes[i], when, who)
		}
		if i >= len(rows) && i >= len(a.snap.Changes) {
			return
		}
	}
}

func (a *painter) change(l *line, c *view.Change, when, who int) {
	l.cell(dim, a.ui.when(c.At, a.now), when).cell(plain, c.Server+c.Node, who).add(plain, c.What)
}

// sideOf are the lines of a server beside what changed.
func (a *painter) sideOf(s *view.Server, w int) (lines []*line) {
	add := func() *line {
		l := new(line)
		lines = append(lines, l)
		return l
	}
	for _, c := range s.Sessions {
		l := add().cell(plain, c.Role, 9)
		a.session(l, s, &c)
	}
	if b := s.Breaker; b != nil {
		l := add().cell(plain, "breaker", 9)
		sign, tone := a.upSign(s, b.State == "closed")
		l.add(tone, sign+" ").add(plain, b.State)
	}
	if s.Buffers != nil {
		add()
		if text := rates(s); text != "" {
			add().cell(plain, "rates", 9).add(plain, text)
		}
		for _, b := range a.buffers(s) {
			add().cell(plain, b.name, 9).cell(b.tone, a.p.bar(b.Percent(), max(10, w/3)), max(10, w/3)).add(plain, " "+b.of())
		}
		if text := s.Refused.Text(a.moment()); text != "" {
			add().cell(plain, "actions", 9).add(plain, text)
		}
		add()
		for _, text := range wrap(account(s.Account), w, 3) {
			add().add(plain, text)
		}
	}
	for _, g := range s.Gaps[:min(len(s.Gaps), 3)] {
		add().cell(plain, "gap", 5).add(plain, a.gap(&g))
	}
	return lines
}

func (a *painter) session(l *line, s *view.Server, c *view.Session) {
	sign, tone := a.upSign(s, c.State == "up")
	l.add(tone, sign+" ").add(plain, c.State)
	switch {
	case s.IsSilent():
		l.add(dim, " at "+a.ui.when(s.Since, a.now))
	case c.State == "up" && !c.Since.IsZero():
		l.add(dim, " "+short(a.now.Sub(c.Since.Time)))
	case c.State == "waiting" && c.RetryAt.After(a.now):
		l.add(dim, " "+view.Clock(c.RetryAt.Sub(a.now)))
	}
	if c.Reason != "" {
		l.add(dim, ", "+c.Reason)
	}
}

// upSign is the sign of what is up at s, or is not; of a silent one nobody knows.
func (a *painter) upSign(s *view.Server, up bool) (string, tone) {
	switch {
	case s.IsSilent():
		return a.p.either("◌", "?"), dim
	case up:
		return a.p.either("●", "o"), ok
	}
	return a.p.either("▲", "!"), warn
}

// buffer is one with its name and tone.
type buffer struct {
	name string
	tone tone
	*view.Buffer
	unit func(int64) string
}

func (b *buffer) used() int64 {
	if b.name == "pending" {
		return b.Depth
	}
	return b.Bytes
}

func (b *buffer) of() string { return b.unit(b.used()) + " of " + b.unit(b.Capacity) }

func (a *painter) buffers(s *view.Server) []buffer {
	tone := func(b *view.Buffer) tone {
		switch b.Level {
		case "high":
			return warn
		case "full":
			return bad
		}
		return dim
	}
	return []buffer{
		{"outbox", tone(&s.Buffers.Outbox), &s.Buffers.Outbox, bytes},
		{"write", tone(&s.Buffers.Write), &s.Buffers.Write, bytes},
		{"pending", tone(&s.Buffers.Pending), &s.Buffers.Pending, number[int64]},
	}
}

// account is the law of conservation in one line.
func account(c *view.Accounting) string {
	if c == nil {
		return ""
	}
	text := "received " + view.Count(c.Received) + " = published " + view.Count(c.Published) + " + filtered " + view.Count(c.Filtered) +
		" + queued " + view.Count(c.Queued) + " + in flight " + view.Count(c.InFlight)
	if c.Released > 0 {
		text += " + released " + view.Count(c.Released)
	}
	text += " + dropped " + view.Count(c.DroppedSum())
	var reasons []string
	for _, r := range slices.Sorted(maps.Keys(c.Dropped)) {
		if c.Dropped[r] > 0 {
			reasons = append(reasons, r)
		}
	}
	if len(reasons) > 0 {
		text += " (" + strings.Join(reasons, ", ") + ")"
	}
	return text
}

// gap is a hole in one line.
func (a *painter) gap(g *view.Gap) string {
	to := "open"
	if !g.To.IsZero() {
		to = a.ui.when(g.To, a.now)
	}
	text := a.ui.when(g.From, a.now) + " to " + to + "  " + g.Reason + "  " + lostOf(g)
	if g.Restarted != nil && *g.Restarted {
		return text + ", restarted"
	}
	if g.Restarted != nil {
		return text + ", not restarted"
	}
	return text
}

func lostOf(g *view.Gap) string {
	if g.Lost == nil {
		return "unknown"
	}
	return view.Count(*g.Lost)
}

// trail is the line that says where one is.
func (a *painter) trail(s *view.Server, more string) {
	l := a.next().add(dim, "servers / ").add(bold, s.Name)
	if more != "" {
		l.add(dim, " / "+more)
	}
	sign, tone := a.p.sign(s.State)
	word := a.quiet(s)
	if s.State.Ill() {
		word = strings.ToUpper(s.State.Word())
	}
	l.add(plain, "  ").add(tone, sign+" "+word)
	if s.State == view.StateWell || s.Since.IsZero() {
		return
	}
	l.add(dim, "   since "+a.ui.when(s.Since, a.now)+", "+view.Age(a.now.Sub(s.Since.Time)))
	if text := until(&s.Verdict, a.now); text != "" {
		l.add(dim, "   "+text)
	}
}

// selected is the server that is chosen; nil if it is there no more.
func (a *painter) selected() *view.Server {
	s := a.snap.Server(a.ui.Selected)
	if s == nil {
		a.next().add(dim, "servers / "+a.ui.Selected+" is there no more. Esc goes back.")
	}
	return s
}

// server is the page of one.
func (a *painter) server() {
	s := a.selected()
	if s == nil {
		return
	}
	a.trail(s, "")
	if text := reason(s); text != "" {
		a.blank()
		for _, part := range wrap(text, a.w-4, 3) {
			a.next().add(plain, "  "+part)
		}
	}
	a.blank()
	a.sessionTable(s)
	if s.HA != nil {
		a.next().cell(plain, "bridges", 10).add(plain, s.HA.Text())
	}
	if text := rates(s); text != "" {
		a.next().cell(plain, "rates", 10).add(plain, text)
	}
	if s.Buffers != nil {
		a.blank()
		a.bufferTable(s)
		name := "actions"
		for _, text := range wrap(s.Refused.Text(a.moment()), a.w-14, 2) {
			a.next().cell(plain, name, 10).add(plain, text)
			name = ""
		}
		for _, text := range wrap(account(s.Account), a.w-4, 3) {
			a.next().add(plain, "  "+text)
		}
	}
	a.blank()
	a.gapTable(s.Gaps[:min(len(s.Gaps), max(3, a.room()/2))])
	a.queuesOf(s)
}

func (a *painter) sessionTable(s *view.Server) {
	a.next().cell(dim, "SESSION", 10).cell(dim, "STATE", 14).cell(dim, "SINCE", 13).cell(dim, "FAILURES", 16).add(dim, "NEXT TRY")
	row := func(name, state string, up bool, since view.Time, failures int, reason string, retry view.Time) {
		l := a.next().cell(plain, name, 10)
		sign, tone := a.upSign(s, up)
		text := number(failures)
		if reason != "" && !up {
			text += " " + reason
		}
		l.add(tone, sign+" ").cell(plain, state, 12).cell(plain, a.ui.when(since, a.now), 13).cell(plain, text, 16)
		if !retry.IsZero() && retry.After(a.now) {
			l.add(plain, "in "+view.Clock(retry.Sub(a.now)))
		}
	}
	for _, c := range s.Sessions {
		row(c.Role, c.State, c.State == "up", c.Since, c.Failures, c.Reason, c.RetryAt)
	}
	if b := s.Breaker; b != nil {
		row("breaker", b.State, b.State == "closed", b.Since, b.Failures, b.Reason, b.RetryAt)
	}
}

func (a *painter) bufferTable(s *view.Server) {
	bar, now := min(max(10, a.w-60), 40), "NOW"
	if s.IsSilent() {
		now = "THEN"
	}
	a.next().cell(dim, "BUFFER", 10).cell(dim, now, bar).number(dim, "USED", 10).number(dim, "OF", 10).number(dim, "MOST EVER", 10).number(dim, "REFUSED", 8)
	for _, b := range a.buffers(s) {
		refused := view.Count(b.Refused)
		if b.name == "outbox" {
			refused = "-"
		}
		a.next().cell(plain, b.name, 10).cell(b.tone, a.p.bar(b.Percent(), bar), bar).number(plain, b.unit(b.used()), 10).
			number(plain, b.unit(b.Capacity), 10).number(plain, b.unit(b.HighWater), 10).number(plain, refused, 8)
	}
}

func (a *painter) gapTable(gaps []view.Gap) {
	if len(gaps) == 0 {
		a.next().add(dim, "no gap is known")
		return
	}
	a.next().cell(dim, "GAP FROM", 13).cell(dim, "TO", 13).cell(dim, "REASON", 16).cell(dim, "LOST", 12).add(dim, "ASTERISK")
	for _, g := range gaps[min(a.ui.Scroll, len(gaps)-1):] {
		restarted, to, tone := "-", "open", bad
		if !g.To.IsZero() {
			to, tone = a.ui.when(g.To, a.now), plain
		}
		if g.Restarted != nil {
			restarted = "not restarted"
			if *g.Restarted {
				restarted = "restarted"
			}
		}
		a.next().cell(plain, a.ui.when(g.From, a.now), 13).cell(tone, to, 13).cell(plain, g.Reason, 16).cell(plain, lostOf(&g), 12).add(dim, restarted)
	}
}

// gaps is the page of a server's gaps.
func (a *painter) gaps() {
	if s := a.selected(); s != nil {
		a.trail(s, "gaps")
		a.blank()
		a.gapTable(s.Gaps)
	}
}

// calls is the page of a server's calls.
func (a *painter) calls() {
	s := a.selected()
	if s == nil {
		return
	}
	a.trail(s, "calls")
	a.blank()
	switch {
	case a.ui.Source.ByHTTP:
		a.next().add(dim, "Calls are read from NATS, which does not answer.")
		return
	case s.Present == nil:
		a.next().add(dim, a.snap.NoPresent(s))
		return
	case s.Present.State == "stale":
		a.next().add(warn, "as of "+a.ui.when(s.Present.AsOf, a.now)+", not known since")
	}
	if text := s.Partial(); text != "" {
		a.next().add(warn, text)
	}
	a.next().add(dim, number(a.ui.CallsOf)+" calls")
	who := 12
	if a.w >= wide {
		who = 20
	}
	a.next().cell(dim, "SINCE", 12).number(dim, "FOR", 7).cell(dim, "CALLER", who).cell(dim, "WITH", who).cell(dim, "STATE", 8).add(dim, "WHERE")
	for _, c := range a.ui.Calls[min(a.ui.Scroll, len(a.ui.Calls)):] {
		lasts, where := "-", c.Channel
		if !c.Since.IsZero() && s.Present.State != "stale" {
			lasts = view.Clock(a.now.Sub(c.Since.Time))
		}
		if c.Queue != "" {
			where = "waits in " + c.Queue
		}
		a.next().cell(dim, a.ui.when(c.Since, a.now), 12).number(plain, lasts, 7).cell(plain, c.Caller, who).cell(plain, c.With, who).cell(plain, c.State, 8).add(dim, where)
	}
}
