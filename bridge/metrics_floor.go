package bridge

import (
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/view"
)

const (
	// maxQueueLabels is how many queues of a server have series of their own: those that
	// are first by name. Names of queues are the dialplan's, so no setting bounds them.
	maxQueueLabels = 100
	// otherQueues is the label of all the rest.
	otherQueues = "other"
)

// floorMetrics are those of the floor, as the page has it: nothing of a server whose state is
// off or stale, for its numbers are not those of now, or is told by another bridge.
func floorMetrics() []metric[*counted] {
	return []metric[*counted]{
		{gauge, "floor_calls", "Calls that are up.", "", func(c *counted, say say) {
			if c.floor != nil {
				say(float64(c.floor.Calls))
			}
		}},
		{gauge, "floor_callers_waiting", "Callers that wait in the queue.", "queue", func(c *counted, say say) {
			for _, q := range c.labelledQueues() {
				say(float64(q.Waiting), q.Name)
			}
		}},
		{gauge, "floor_longest_wait_seconds", "How long the caller that waits longest in the queue has waited.", "queue", func(c *counted, say say) {
			for _, q := range c.labelledQueues() {
				say(q.Longest.Seconds(), q.Name)
			}
		}},
		{gauge, "floor_agents", "Members of queues, each once, by what they do.", "state", func(c *counted, say say) {
			if c.floor == nil || c.floor.Agents == (view.Counts{}) {
				return
			}
			of := c.floor.Agents
			for state, n := range map[string]int{"free": of.Free, "talking": of.Talking, "ringing": of.Ringing, "paused": of.Paused, "away": of.Away} {
				say(float64(n), state)
			}
		}},
	}
}

// labelledQueues are the queues of c, the first maxQueueLabels by themselves and the rest as
// one. A queue that is called like the rest is of it.
func (c *counted) labelledQueues() []view.QueueSum {
	if c.floor == nil {
		return nil
	}
	all := make([]view.QueueSum, 0, min(len(c.floor.Queues), maxQueueLabels+1))
	rest, several := view.QueueSum{Name: otherQueues}, false
	for _, q := range c.floor.Queues {
		if q.Name != otherQueues && len(all) < maxQueueLabels {
			all = append(all, q)
			continue
		}
		several = true
		rest.Waiting, rest.Longest = rest.Waiting+q.Waiting, max(rest.Longest, q.Longest, time.Duration(0))
	}
	if several {
		all = append(all, rest)
	}
	return all
}
