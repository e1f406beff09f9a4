package view

import "strings"

// eventStream is the stream of events, as bridges tell of it.
const eventStream = "AMI_EVENTS"

// stalled: NATS is connected, and stores nothing of what waits, for want of room, of a right
// or of a stream. The outbox may take days to fill.
func (s *server) stalled(n *node) (Verdict, bool) {
	b := s.buffers
	if b == nil || !(b.StalledS >= stalledTime.Seconds()) {
		return Verdict{}, false
	}
	age := seconds(b.StalledS)
	waiting := min(b.Queued, 1<<40) + min(b.InFlight, 1<<40)
	v := verdict(StateTrouble, stalledFor, []string{
		"{age}", Age(age), "{depth}", Count(waiting) + plural(int(min(waiting, 2)), " event", " events"), "{stream}", n.whyNotStored(),
	})
	v.Since = Time{s.buffersAt.Add(-age)}
	return v, true
}

// whyNotStored is what the bridge says of its stream, as a sentence: where that takes others'
// events it can but be the rights to this server's.
func (n *node) whyNotStored() string {
	if n != nil {
		for _, stream := range n.delivery.Streams {
			if stream.Name == eventStream && stream.State != "ok" && stream.State != "differs" && stream.State != "off" {
				return strings.TrimSuffix(eventStream+" is "+stream.State+": "+strings.TrimRight(stream.Error, ". "), ": ") + ". "
			}
		}
	}
	return "May the bridge publish on its subjects? The log says why: events wait in the outbox. "
}
