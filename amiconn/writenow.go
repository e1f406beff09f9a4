package amiconn

// writeNow writes o at once, on the goroutine of who asks, if nobody else writes and the
// socket takes it without waiting: so the writer does not have to be woken up for it. What
// the socket does not take is the writer's. It reports whether o is in hand; else it is to be
// queued.
func (s *Session) writeNow(o outgoing) bool {
	if s.socket == nil || !s.queue.begin() {
		return false
	}
	if !s.writes(o) {
		s.queue.cancel(len(o.data))
		s.queue.wrote(outgoing{})
		return true
	}
	n, err := s.socket.WriteNow(o.data)
	if err != nil {
		s.end(ReasonWrite, err)
	}
	if n == len(o.data) || err != nil {
		s.queue.cancel(len(o.data))
		s.queue.wrote(outgoing{})
		return true
	}
	if n == 0 { // it has not begun, and whether it may is asked again
		if o.id != "" {
			s.table.Unsent(o.id)
		}
		s.queue.wrote(o)
		return true
	}
	s.queue.give(n)
	s.queue.wrote(outgoing{data: o.data[n:]})
	return true
}
