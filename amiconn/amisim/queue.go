package amisim

const (
	// maxQueued bounds the bytes of events that wait for one session. One that
	// lets them pile up is cut; Flood waits instead.
	maxQueued = 16 << 20
	// roomy is how far a queue is drained before Flood goes on.
	roomy = 1 << 20
)

// enqueue takes an event of a class, "" for one that every session with events
// on gets, for later. It does not block.
func (s *Session) enqueue(class string, event []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if class == "" && !s.mask.on() || class != "" && !s.mask.has(class) {
		return
	}
	if s.queued += len(event); s.queued > maxQueued {
		s.end()
		return
	}
	s.queue = append(s.queue, event)
	s.signal()
}

func (s *Session) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// flush sends some of the queued events, and leaves a wake-up if more are left,
// so that actions get their turn.
func (s *Session) flush() {
	s.mu.Lock()
	was := s.queued
	s.scratch = s.scratch[:0]
	n := 0
	for n < len(s.queue) && (n == 0 || len(s.scratch)+len(s.queue[n]) <= writeSize) {
		s.scratch = append(s.scratch, s.queue[n]...)
		s.queue[n] = nil
		n++
	}
	s.queue = s.queue[n:]
	s.queued -= len(s.scratch)
	if len(s.queue) > 0 {
		s.signal()
	}
	left := s.queued
	s.mu.Unlock()
	if was > roomy && left <= roomy {
		s.srv.changed.notify()
	}
	s.Write(s.scratch)
}

func (s *Session) setMask(m mask) {
	s.mu.Lock()
	s.mask = m
	s.mu.Unlock()
	s.srv.changed.notify()
}

func (s *Session) wantsEvents() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mask.on()
}

func (s *Session) backlogged() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.queued > roomy
}
