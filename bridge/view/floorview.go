package view

import (
	"cmp"
	"slices"
	"time"
)

// Floor is queues, callers and agents of all servers.
type Floor struct {
	Waiting int  `json:"waiting"`
	Longest Time `json:"longest"`
	Calls   int  `json:"calls"`
	Counts
	// Queues keep their place: they are by name. Agents are by state, then by name.
	Queues       []Queue  `json:"queues"`
	QueuesHidden int      `json:"queues_hidden"`
	Agents       []Agent  `json:"agents"`
	AgentsHidden int      `json:"agents_hidden"`
	Stale        []Frozen `json:"stale"`
}

// Counts are how many agents are in each state; Away are those in any other.
type Counts struct {
	Free    int `json:"free"`
	Talking int `json:"talking"`
	Ringing int `json:"ringing"`
	Paused  int `json:"paused"`
	Away    int `json:"away"`
}

func (c *Counts) count(state string) {
	switch state {
	case AgentFree:
		c.Free++
	case AgentTalking:
		c.Talking++
	case AgentRinging:
		c.Ringing++
	case AgentPaused:
		c.Paused++
	default:
		c.Away++
	}
}

func (c *Counts) add(more Counts) {
	c.Free += more.Free
	c.Talking += more.Talking
	c.Ringing += more.Ringing
	c.Paused += more.Paused
	c.Away += more.Away
}

// Frozen is a server whose part of the floor is as it was then. It is in no sum.
type Frozen struct {
	Server string `json:"server"`
	AsOf   Time   `json:"as_of"`
}

// Queue is one queue of one server.
type Queue struct {
	Name    string   `json:"name"`
	Server  string   `json:"server"`
	Waiting int      `json:"waiting"`
	Longest Time     `json:"longest"` // since when the one that waits longest does
	Callers []Caller `json:"callers"` // the first
	Counts
	// Past is the most that waited in each minute of the last hour, the oldest first.
	Past []uint64 `json:"past"`
	AsOf Time     `json:"as_of"` // not null: stale, and its numbers are as they were then
}

// The waits from which a queue's tile is marked.
const (
	WaitLong    = time.Minute
	WaitTooLong = 3 * time.Minute
)

// Wait is how long the one that waits longest does; of a stale queue, did.
func (q *Queue) Wait(now time.Time) time.Duration {
	if q.Longest.IsZero() || q.Waiting == 0 {
		return 0
	}
	if !q.AsOf.IsZero() {
		now = q.AsOf.Time
	}
	return max(0, now.Sub(q.Longest.Time))
}

// Caller is one that waits.
type Caller struct {
	Number   string `json:"number"`
	Since    Time   `json:"since"`
	Position int    `json:"position"`
	id       string
}

// Agent is a member of queues.
type Agent struct {
	Name   string `json:"name"`
	Server string `json:"server"`
	State  string `json:"state"`
	Since  Time   `json:"since"`
	Queue  string `json:"queue"`  // of the call that it is on
	Reason string `json:"reason"` // why it is paused
	AsOf   Time   `json:"as_of"`  // not null: stale
	iface  string
}

// Call is one that is up.
type Call struct {
	Since   Time   `json:"since"`
	Caller  string `json:"caller"`
	With    string `json:"with"`
	State   string `json:"state"`
	Channel string `json:"channel"`
	Queue   string `json:"queue"` // in which it waits
}

// shown is a queue or an agent on its way into a Floor: only those that are shown are
// copied.
type shown[T any] struct {
	of    *T
	skew  time.Duration // of its times
	asOf  Time
	order int
}

// floorAt returns the floor of all servers; nil if no bridge keeps the state.
func (m *Model) floorAt(now time.Time, numbers Numbers) *Floor {
	if !m.hasState {
		return nil
	}
	view := &Floor{Stale: []Frozen{}}
	var queues []shown[Queue]
	var agents []shown[Agent]
	for _, s := range m.servers {
		if s.present.state == "" {
			continue
		}
		f, skew, asOf := s.look(), s.skew(m), Time{}
		if frozen, since := m.isStale(s, now); frozen {
			asOf = Time{since}
			view.Stale = append(view.Stale, Frozen{s.name, asOf})
		} else {
			view.add(s, f, skew)
		}
		for i := range f.queues {
			queues = append(queues, shown[Queue]{&f.queues[i], skew, asOf, 0})
		}
		for i := range f.agents {
			agents = append(agents, shown[Agent]{&f.agents[i], skew, asOf, slices.Index(agentOrder, f.agents[i].State)})
		}
	}
	slices.SortFunc(view.Stale, func(a, b Frozen) int { return cmp.Compare(a.Server, b.Server) })
	slices.SortFunc(queues, func(a, b shown[Queue]) int {
		return cmp.Or(cmp.Compare(a.of.Name, b.of.Name), cmp.Compare(a.of.Server, b.of.Server))
	})
	slices.SortFunc(agents, func(a, b shown[Agent]) int {
		if a.order != b.order {
			return a.order - b.order
		}
		return cmp.Or(cmp.Compare(a.of.Name, b.of.Name), cmp.Compare(a.of.Server, b.of.Server), cmp.Compare(a.of.iface, b.of.iface))
	})
	view.show(m, queues, agents, now, numbers)
	return view
}

// show copies those queues and agents that have a place.
func (view *Floor) show(m *Model, queues []shown[Queue], agents []shown[Agent], now time.Time, numbers Numbers) {
	view.QueuesHidden, view.AgentsHidden = max(0, len(queues)-shownQueues), max(0, len(agents)-shownAgents)
	view.Queues, view.Agents = make([]Queue, len(queues)-view.QueuesHidden), make([]Agent, len(agents)-view.AgentsHidden)
	for i := range view.Queues {
		q := &view.Queues[i]
		*q = *queues[i].of
		q.AsOf, q.Past, q.Longest = queues[i].asOf, []uint64{}, q.Longest.shift(queues[i].skew)
		if r := m.servers[q.Server].queues[q.Name]; r != nil {
			q.Past = r.all(now, queueStep)
		}
		q.Callers = append([]Caller{}, q.Callers...)
		for j := range q.Callers {
			q.Callers[j].Number, q.Callers[j].Since = numbers.show(q.Callers[j].Number), q.Callers[j].Since.shift(queues[i].skew)
		}
	}
	for i := range view.Agents {
		view.Agents[i] = *agents[i].of
		view.Agents[i].AsOf, view.Agents[i].Since = agents[i].asOf, agents[i].of.Since.shift(agents[i].skew)
	}
}

// add adds the floor of a server to the sums.
func (view *Floor) add(s *server, f *floor, skew time.Duration) {
	view.Waiting += f.waiting
	view.Calls += len(s.calls)
	if longest := (Time{f.longest}).shift(skew); !longest.IsZero() && (view.Longest.IsZero() || longest.Before(view.Longest.Time)) {
		view.Longest = longest
	}
	view.Counts.add(f.doing)
}
