package fairness

import "sync"

// Scheduler is deficit round robin (Shreedhar and Varghese, 1995) over
// numbered sources. Only sources with something to send are in the round, so
// choosing the next one costs the same for two as for a thousand. Ready may be
// called from any goroutine; all else is for the one consumer.
type Scheduler struct {
	quantum int
	wake    chan struct{} // of capacity 1: the round is no longer empty

	mu      sync.Mutex // protects the following
	sources []source
	round   []int // the numbers of the queued sources, a ring
	head    int
	length  int
}

type source struct {
	queued  bool
	deficit int  // bytes that its earlier turns left unused or overdrew
	cut     bool // its turn was cut short and goes on, without another quantum
}

// NewScheduler returns a Scheduler without sources. In each round a source may
// send quantum bytes.
func NewScheduler(quantum int) *Scheduler {
	return &Scheduler{quantum: quantum, wake: make(chan struct{}, 1)}
}

// Add returns the number of a new source, from 0 on.
func (s *Scheduler) Add() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sources = append(s.sources, source{})
	// Each source is in the round once at most, so the ring cannot overflow.
	round := make([]int, len(s.sources))
	for i := range s.length {
		round[i] = s.round[(s.head+i)%len(s.round)]
	}
	s.round, s.head = round, 0
	return len(s.sources) - 1
}

// Ready says that source id has something to send. It never waits and does
// nothing if that is known.
func (s *Scheduler) Ready(id int) {
	s.mu.Lock()
	fresh := s.enqueue(id)
	s.mu.Unlock()
	if fresh {
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}
}

func (s *Scheduler) enqueue(id int) bool {
	if s.sources[id].queued {
		return false
	}
	s.sources[id].queued = true
	s.round[(s.head+s.length)%len(s.round)] = id
	s.length++
	return true
}

// Wake returns a channel that receives when the round may no longer be empty.
func (s *Scheduler) Wake() <-chan struct{} { return s.wake }

// Any reports whether is holds for at least one of the sources that are ready. It
// calls is with the Scheduler locked.
func (s *Scheduler) Any(is func(id int) bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.length {
		if is(s.round[(s.head+i)%len(s.round)]) {
			return true
		}
	}
	return false
}

// Next returns whose turn it is and how many bytes it may send; what is larger
// than that may be begun while budget is positive and is made up for later. It
// reports false if nobody is ready. Each Next is followed by its Served.
func (s *Scheduler) Next() (id, budget int, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.length > 0 {
		id = s.round[s.head]
		s.head = (s.head + 1) % len(s.round)
		s.length--
		src := &s.sources[id]
		src.queued = false
		if !src.cut {
			src.deficit += s.quantum
		}
		src.cut = false
		if src.deficit > 0 {
			return id, src.deficit, true
		}
		// It still pays for something large.
		s.enqueue(id)
	}
	return 0, 0, false
}

// Served ends the turn of source id, which sent so many bytes. With more it
// goes to the end of the round, or, if it has not used its budget up because
// the consumer had to stop, to the front to go on with the rest of it. Without
// more it starts afresh when it is Ready.
func (s *Scheduler) Served(id, bytes int, more bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	src := &s.sources[id]
	src.deficit -= bytes
	switch {
	case more && src.deficit > 0 && !src.queued:
		src.cut, src.queued = true, true
		s.head = (s.head + len(s.round) - 1) % len(s.round)
		s.round[s.head] = id
		s.length++
	case more:
		src.deficit = min(src.deficit, 0)
		s.enqueue(id)
	default:
		// An empty source saves nothing up, but its debt stays.
		src.deficit = min(src.deficit, 0)
	}
}
