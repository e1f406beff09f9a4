package top

import (
	"slices"
	"strings"
	"time"

	"charm.land/lipgloss/v2"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/view"
)

// floor is queues, callers and agents.
func (a *painter) floor() {
	f := a.snap.Floor
	if f == nil {
		a.blank()
		a.next().add(dim, a.snap.NoFloor(""))
		return
	}
	l := a.next()
	figure := func(name, value string, tone tone) { l.add(dim, name+" ").add(tone, value+"   ") }
	figure("waiting", number(f.Waiting), bold)
	if !f.Longest.IsZero() {
		wait := a.now.Sub(f.Longest.Time)
		figure("longest", view.Clock(wait), waitTone(wait, bold))
	}
	figure("calls", number(f.Calls), bold)
	figure("free", number(f.Free), bold)
	figure("talking", number(f.Talking), bold)
	figure("paused", number(f.Paused), bold)
	a.blank()
	if !a.ui.Agents {
		a.queues(f)
	}
	if a.ui.Callers && !a.ui.Agents && len(f.Queues) > 0 {
		a.callers(&f.Queues[min(max(a.ui.Queue, 0), len(f.Queues)-1)])
	} else {
		a.agents(f)
	}
	for _, text := range a.snap.Partial() {
		a.next().add(dim, a.p.either("◌", "?")+" "+text)
	}
	for _, s := range f.Stale {
		why := a.snap.WhyFrozen(s)
		if why != "" {
			why = ": " + why
		}
		a.next().add(dim, a.p.either("◌", "?")+" "+s.Server+": its calls and queues are as of "+a.ui.when(s.AsOf, a.now)+", and in no sum"+why)
	}
}

// notes is how many lines say what of the floor is not that of now, or not all.
func (a *painter) notes(f *view.Floor) int { return len(f.Stale) + len(a.snap.Partial()) }

// waitTone is the tone of a wait.
func waitTone(wait time.Duration, other tone) tone {
	switch {
	case wait >= view.WaitTooLong:
		return bad
	case wait >= view.WaitLong:
		return warn
	}
	return other
}

// queueSign is the sign of a queue.
func (a *painter) queueSign(q *view.Queue) (string, tone) {
	wait := q.Wait(a.now)
	switch {
	case !q.AsOf.IsZero():
		return a.p.sign(view.StateUnknown)
	case wait >= view.WaitTooLong:
		return a.p.sign(view.StateDown)
	case wait >= view.WaitLong:
		return a.p.sign(view.StateTrouble)
	}
	return a.p.sign(view.StateWell)
}

// queueColumns are all of a queue's but its name and its past.
const queueColumns = 3 + 1 + 6 + 9 + 7 + 7 + 6 + 7 + 1

// queueHeader begins a table of queues whose names are so long, and returns how wide their
// names and pasts are.
func (a *painter) queueHeader(longest int) (name, past int) {
	name = max(14, min(longest, a.w-queueColumns))
	if left := a.w - queueColumns - name; left >= 18 {
		past = min(left, 30)
		name += min(left-past, 26)
	}
	if a.w < narrow {
		name = max(8, a.w-24)
	}
	l := a.next().add(plain, "  ").cell(dim, "QUEUE", name).number(dim, "WAIT", 5).number(dim, "LONGEST", 8)
	if a.w >= narrow {
		l.number(dim, "FREE", 6).number(dim, "TALK", 6).number(dim, "RING", 5).number(dim, "PAUSE", 6)
		if past > 0 {
			l.add(plain, " ").add(dim, cut("LAST HOUR", past))
		}
	}
	return name, past
}

// queuesOf are those of one server, as many as there is room for.
func (a *painter) queuesOf(s *view.Server) {
	if a.snap.Floor == nil || a.room() < 3 {
		return
	}
	var own []*view.Queue
	for i := range a.snap.Floor.Queues {
		if q := &a.snap.Floor.Queues[i]; q.Server == s.Name {
			own = append(own, q)
		}
	}
	if len(own) == 0 {
		return
	}
	a.blank()
	name, past := a.queueHeader(0)
	shown := min(len(own), a.room())
	if shown < len(own) {
		shown = max(0, shown-1)
	}
	for _, q := range own[:shown] {
		a.queue(q, q.Name, name, past, false)
	}
	if hidden := len(own) - shown; hidden > 0 {
		a.next().add(dim, "  "+number(hidden)+" more queues")
	}
}

// labelsOf are the names of queues, with that of the server where others have one of that
// name, and how long the longest of these is.
func labelsOf(queues []view.Queue) (labels []string, longest int) {
	names := make(map[string]int)
	for i := range queues {
		names[queues[i].Name]++
	}
	for i := range queues {
		label := queues[i].Name
		if names[label] > 1 {
			label += " " + queues[i].Server
			longest = max(longest, lipgloss.Width(label))
		}
		labels = append(labels, label)
	}
	return labels, longest
}

func (a *painter) queues(f *view.Floor) {
	labels, longest := labelsOf(f.Queues)
	name, past := a.queueHeader(longest)
	room := max(2, a.room()*3/5)
	chosen := min(max(a.ui.Queue, 0), max(0, len(f.Queues)-1))
	start := min(max(0, chosen-room/2), max(0, len(f.Queues)-room))
	end := min(len(f.Queues), start+room)
	for i := start; i < end; i++ {
		a.queue(&f.Queues[i], labels[i], name, past, i == chosen)
	}
	if hidden := len(f.Queues) - (end - start) + f.QueuesHidden; hidden > 0 {
		a.next().add(dim, "  "+number(hidden)+" more queues")
	}
	if len(f.Queues) == 0 {
		a.next().add(dim, "  no queue")
	}
}

func (a *painter) queue(q *view.Queue, label string, name, past int, chosen bool) {
	sign, tone := a.queueSign(q)
	l := new(line).add(plain, " ").add(tone, sign+" ")
	if chosen {
		a.mark(l)
	}
	a.lines = append(a.lines, l)
	stale := !q.AsOf.IsZero()
	text := plain
	if stale {
		text = dim
	}
	wait, longest := q.Wait(a.now), "-"
	if q.Waiting > 0 && !q.Longest.IsZero() {
		longest = view.Clock(wait)
	}
	agents := func(n int) string {
		if stale {
			return "?"
		}
		return number(n)
	}
	l.cell(text, label, name).number(text, number(q.Waiting), 5)
	if stale {
		l.number(text, longest, 8)
	} else {
		l.number(waitTone(wait, text), longest, 8)
	}
	if a.w < narrow {
		return
	}
	l.number(text, agents(q.Free), 6).number(text, agents(q.Talking), 6).number(text, agents(q.Ringing), 5).number(text, agents(q.Paused), 6)
	switch {
	case stale:
		asOf := view.Moment(q.AsOf, a.now)
		if len(asOf) == len("15:04:05") { // it is of today
			asOf = asOf[:len("15:04")]
		}
		l.add(plain, " ").add(dim, "as of "+asOf+", stale")
	case past > 0:
		l.add(plain, " ").add(dim, a.p.spark(q.Past, past))
	}
}

// callers are those that wait in a queue.
func (a *painter) callers(q *view.Queue) {
	a.blank()
	a.next().add(bold, q.Name).add(dim, " of "+q.Server)
	now := a.now
	if !q.AsOf.IsZero() {
		now = q.AsOf.Time
	}
	for _, c := range q.Callers {
		l := a.next().number(dim, number(c.Position), 4).add(plain, " ").cell(plain, c.Number, 20)
		if !c.Since.IsZero() {
			wait := now.Sub(c.Since.Time)
			l.number(waitTone(wait, plain), view.Clock(wait), 8)
		}
	}
	if more := q.Waiting - len(q.Callers); more > 0 {
		a.next().add(dim, "  "+number(more)+" more callers")
	}
}

// agents are in as many columns as there is room for.
func (a *painter) agents(f *view.Floor) {
	if len(f.Agents) == 0 || a.room() < 3+a.notes(f) {
		return
	}
	if len(a.lines) > 3 {
		a.blank()
	}
	each := 38
	columns := max(1, a.w/each)
	if columns == 1 {
		each = a.w - 1
	}
	each = max(each, (a.w-1)/columns)
	head := a.next()
	for range columns {
		head.add(plain, "  ").cell(dim, "AGENT", each-21).cell(dim, "STATE", 16)
	}
	room := a.room() - a.notes(f)
	shown := min(len(f.Agents), room*columns)
	if shown < len(f.Agents) {
		shown = max(0, room-1) * columns
	}
	for i := 0; i < shown; i += columns {
		l := a.next()
		for j := i; j < min(i+columns, shown); j++ {
			a.agent(l, &f.Agents[j], each)
			l.to(1 + (j-i+1)*each)
		}
	}
	if hidden := len(f.Agents) - shown + f.AgentsHidden; hidden > 0 {
		a.next().add(dim, "  "+number(hidden)+" more agents")
	}
}

func (a *painter) agent(l *line, g *view.Agent, each int) {
	signs := map[string][2]string{
		view.AgentRinging: {"◎", "*"}, view.AgentFree: {"○", "o"}, view.AgentTalking: {"●", "@"}, view.AgentPaused: {"‖", "="}, view.AgentAway: {"-", "-"},
	}
	sign := a.p.either("◌", "?")
	if s, known := signs[g.State]; known && g.AsOf.IsZero() {
		sign = a.p.either(s[0], s[1])
	}
	now := a.now
	if !g.AsOf.IsZero() {
		now = g.AsOf.Time
	}
	lasts := ""
	if !g.Since.IsZero() && (g.State == view.AgentFree || g.State == view.AgentTalking) {
		lasts = view.Clock(now.Sub(g.Since.Time))
	}
	text := g.State
	switch {
	case g.State == view.AgentTalking && g.Queue != "":
		text = strings.TrimSpace(lasts + " " + g.Queue)
	case lasts != "":
		text += " " + lasts
	case g.State == view.AgentPaused && g.Reason != "":
		text += ", " + g.Reason
	}
	l.add(plain, sign+" ").cell(plain, g.Name, each-21).add(dim, cut(text, 17))
}

// keysPage says what the keys do, and what the signs mean.
func (a *painter) keysPage() {
	a.next().add(bold, "Keys")
	a.blank()
	for _, k := range []hint{
		{a.p.either("↑ ↓ j k", "j k"), "move"}, {"Enter, l", "open"}, {"Esc, h", "back"}, {"g G", "first, last; of a server g: its gaps"}, {"Tab, f", "servers, floor"},
		{"/", "find: text in name, state, reason or who leads"}, {"s S", "sort by the next column; turn round. Ill ones stay first"}, {"i", "ill ones only"},
		{"c", "calls of this server"}, {"e", "its events, as they come"}, {"space", "stop and go on"}, {"y", "copy this screen as text, for a ticket (OSC 52)"}, {"w", "write it to a file"},
		{"z", "times as clock, as age, in UTC"}, {"?", "this"}, {"q, Ctrl-C", "quit"},
	} {
		a.next().add(plain, "  ").add(blue, k.key).to(17).add(plain, k.what)
	}
	a.blank()
	l := a.next().add(plain, "  ")
	for _, s := range []struct {
		state view.State
		word  string
	}{
		{view.StateLosing, "loses events"}, {view.StateDown, "not connected"}, {view.StateTrouble, "in trouble"}, {view.StateUnknown, "not known now"}, {view.StateWell, "well"},
	} {
		sign, tone := a.p.sign(s.state)
		if l.width()+lipgloss.Width(s.word)+4 < a.w {
			l.add(tone, sign+" ").add(plain, s.word+"  ")
		}
	}
	if slices.ContainsFunc(a.snap.Servers, func(s view.Server) bool { return s.HA != nil }) {
		a.next().add(plain, "  behind who leads: ").add(ok, a.p.either("●", "o")).add(plain, " a standby is in sync, ").add(warn, a.p.either("▲", "!")).add(plain, " none is")
	}
}
