package view

import (
	"cmp"
	"slices"
	"strings"
	"time"
	"unicode"
)

// Numbers says how much of a caller's number is shown.
type Numbers string

// The values of Numbers. Any other is as NumbersNone.
const (
	NumbersFull  Numbers = "full"
	NumbersLast4 Numbers = "last4"
	NumbersNone  Numbers = "none"
)

// harmless are what stands for a number that is not known.
var harmless = []string{"anonymous", "unknown", "<unknown>", "restricted", "unavailable"}

// show is number as far as it may be shown.
func (n Numbers) show(number string) string {
	switch {
	case number == "":
		return ""
	case slices.Contains(harmless, strings.ToLower(number)):
		return strings.Trim(strings.ToLower(number), "<>")
	case n == NumbersFull:
		return number
	case n != NumbersLast4:
		return ""
	}
	runes := []rune(number)
	if len(runes) <= 4 {
		return number
	}
	return "…" + string(runes[len(runes)-4:])
}

// ShowIn is text, such as a channel's name, with the numbers of more than four digits in
// it as far as they may be shown.
func (n Numbers) ShowIn(text string) string {
	if n == NumbersFull {
		return text
	}
	var b strings.Builder
	runes := []rune(text)
	for i := 0; i < len(runes); {
		end := i
		for end < len(runes) && unicode.IsDigit(runes[end]) {
			end++
		}
		switch {
		case end == i:
			b.WriteRune(runes[i])
			end++
		case end-i <= 4:
			b.WriteString(string(runes[i:end]))
		default:
			b.WriteString(cmp.Or(n.show(string(runes[i:end])), "…"))
		}
		i = end
	}
	return b.String()
}

// floor is what the present of one server comes to. Numbers are whole in it.
type floor struct {
	waiting int
	longest time.Time // since when the one that waits longest does
	queues  []Queue   // by name
	agents  []Agent   // by name
	doing   Counts    // of agents
}

// look returns the floor of s, with times by its bridge's clock; it is made anew after a change only.
func (s *server) look() *floor {
	if s.floor == nil {
		s.floor = s.makeFloor()
	}
	return s.floor
}

func (s *server) makeFloor() *floor {
	f := new(floor)
	queues := make(map[string]*Queue)
	queue := func(name string) *Queue {
		q := queues[name]
		if q == nil {
			q = &Queue{Name: name, Server: s.name}
			queues[name] = q
		}
		return q
	}
	agents := make(map[string]*Agent)
	for _, o := range s.objects {
		switch o.kind {
		case kindQueue:
			queue(o.queue)
		case kindCaller:
			queue(o.queue).wait(o)
		case kindMember:
			queue(o.queue).count(o.does())
			a := agents[o.iface]
			if a == nil {
				a = &Agent{Name: o.agent, Server: s.name, iface: o.iface}
				agents[o.iface] = a
			}
			a.merge(o)
		}
	}
	for _, q := range queues {
		q.finish()
		f.waiting += q.Waiting
		if q.Waiting > 0 && !q.Longest.IsZero() && (f.longest.IsZero() || q.Longest.Before(f.longest)) {
			f.longest = q.Longest.Time
		}
		f.queues = append(f.queues, *q)
	}
	for _, a := range agents {
		f.agents = append(f.agents, *a)
		f.doing.count(a.State)
	}
	slices.SortFunc(f.queues, func(a, b Queue) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(f.agents, func(a, b Agent) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.iface, b.iface)) })
	return f
}

func (q *Queue) wait(o *object) {
	q.Waiting++
	q.Callers = append(q.Callers, Caller{Number: o.number, Since: Time{o.since}, Position: o.position, id: o.id})
	if !o.since.IsZero() && (q.Longest.IsZero() || o.since.Before(q.Longest.Time)) {
		q.Longest = Time{o.since}
	}
}

func (q *Queue) finish() {
	slices.SortFunc(q.Callers, func(a, b Caller) int {
		return cmp.Or(cmp.Compare(a.Position, b.Position), a.Since.Compare(b.Since.Time), cmp.Compare(a.id, b.id))
	})
	q.Callers = q.Callers[:min(len(q.Callers), shownCallers)]
}

// The states of an agent.
const (
	AgentFree    = "free"
	AgentTalking = "talking"
	AgentRinging = "ringing"
	AgentPaused  = "paused"
	AgentAway    = "not reachable"
	AgentUnknown = "not known"
)

// agentOrder sorts states by who comes first where agents are listed.
var agentOrder = []string{AgentRinging, AgentFree, AgentTalking, AgentPaused, AgentAway, AgentUnknown}

// does is what the member o does, by the device states of Asterisk (enum
// ast_device_state in devicestate.h). Paused wins over free.
func (o *object) does() string {
	switch o.status {
	case 1: // AST_DEVICE_NOT_INUSE
		if o.paused {
			return AgentPaused
		}
		return AgentFree
	case 2, 3, 7, 8: // INUSE, BUSY, RINGINUSE, ONHOLD
		return AgentTalking
	case 6: // RINGING
		return AgentRinging
	case 4, 5: // INVALID, UNAVAILABLE
		return AgentAway
	}
	if o.paused {
		return AgentPaused
	}
	return AgentUnknown
}

// merge takes one of the agent's memberships: it is the same device in each queue, but
// may be paused in some only.
func (a *Agent) merge(o *object) {
	state := o.does()
	since := o.since
	if state == AgentFree && o.lastCall.After(since) {
		since = o.lastCall
	}
	worse := a.State == "" || state == AgentPaused && a.State == AgentFree
	if worse || state == a.State && since.After(a.Since.Time) {
		a.State, a.Since = state, Time{since}
	}
	if state == AgentPaused && o.pausedBy != "" && (a.Reason == "" || o.pausedBy < a.Reason) {
		a.Reason = o.pausedBy
	}
	if o.inCall && (a.Queue == "" || o.queue < a.Queue) {
		a.Queue = o.queue
	}
}

// Calls returns the calls that are up at a server, the oldest first, and how many there
// are; of many only the first.
func (m *Model) Calls(name string, numbers Numbers) (calls []Call, of int) {
	s := m.servers[name]
	if s == nil {
		return nil, 0
	}
	byCall := make(map[string]*object, len(s.calls))
	waits := make(map[string]string)
	for _, o := range s.objects {
		switch o.kind {
		case kindChannel:
			if first := byCall[o.linkedid]; first == nil || older(o, first) {
				byCall[o.linkedid] = o
			}
		case kindCaller:
			if _, id, ok := strings.Cut(o.id, "."); ok {
				waits[unescape(id)] = o.queue
			}
		}
	}
	first := make([]*object, 0, len(byCall))
	for _, o := range byCall {
		first = append(first, o)
	}
	slices.SortFunc(first, func(a, b *object) int {
		if older(a, b) {
			return -1
		}
		return 1
	})
	for _, o := range first[:min(len(first), shownCalls)] {
		c := Call{Since: Time{o.since}.shift(s.skew(m)), Caller: numbers.show(o.number), With: numbers.show(o.with), State: o.state, Channel: numbers.ShowIn(o.channel)}
		if q, ok := waits[unescape(o.id)]; ok {
			c.Queue = q
		}
		calls = append(calls, c)
	}
	return calls, len(byCall)
}

func older(a, b *object) bool {
	if c := a.since.Compare(b.since); c != 0 {
		return c < 0
	}
	return a.id < b.id
}
