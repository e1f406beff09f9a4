package view

import "time"

// FloorSums is the floor of one server in numbers: what is not stale of it, as Floor adds
// it up.
type FloorSums struct {
	Calls  int
	Queues []QueueSum // by name
	Agents Counts
}

// QueueSum is one queue of a FloorSums.
type QueueSum struct {
	Name    string
	Waiting int
	Longest time.Duration // that one who waits has waited
}

// FloorSums returns the floor of each server whose numbers are those of now, by its name.
// A server whose state is off or stale is not among them, nor one that was silent when it was
// last asked how all stands, at looked.
func (m *Model) FloorSums(now, looked time.Time) map[string]FloorSums {
	all := make(map[string]FloorSums)
	for name, s := range m.servers {
		if frozen, _ := m.isStale(s, looked); frozen || s.present.state == "" {
			continue
		}
		f := s.look()
		sums := FloorSums{Calls: len(s.calls), Queues: make([]QueueSum, 0, len(f.queues)), Agents: f.doing}
		for i := range f.queues {
			q := &f.queues[i]
			sums.Queues = append(sums.Queues, QueueSum{Name: q.Name, Waiting: q.Waiting, Longest: q.Wait(now.Add(-s.skew(m)))})
		}
		all[name] = sums
	}
	return all
}
