package amisim

import (
	"container/heap"
	"context"
	"sync"
	"time"
)

// maxScheduled bounds the Originates under way. One too many is done at once.
const maxScheduled = 10_000

// schedule calls functions at their time, those of the same time in order.
type schedule struct {
	wake chan struct{}

	mu  sync.Mutex // protects following
	due timers
}

// after arranges for f, which must not block, to be called d from now.
func (s *schedule) after(d time.Duration, f func()) {
	if d > 0 && s.add(time.Now().Add(d), f) {
		return
	}
	f()
}

func (s *schedule) add(at time.Time, f func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.due.list) >= maxScheduled {
		return false
	}
	s.due.push(at, f)
	select {
	case s.wake <- struct{}{}:
	default:
	}
	return true
}

func (s *schedule) run(ctx context.Context) {
	for {
		f, in := s.next(time.Now())
		if f != nil {
			f()
			continue
		}
		timer := time.NewTimer(in)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-s.wake:
			timer.Stop()
		case <-timer.C:
		}
	}
}

// next takes what is due, or says how long to wait.
func (s *schedule) next(now time.Time) (f func(), in time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.due.list) == 0 {
		return nil, time.Hour
	}
	if in := s.due.list[0].at.Sub(now); in > 0 {
		return nil, in
	}
	return s.due.pop().f, 0
}

type timer struct {
	at  time.Time
	seq int
	f   func()
}

// timers is a heap by time, then by order of push. Not safe for concurrent use.
type timers struct {
	list []timer
	seq  int
}

func (t *timers) push(at time.Time, f func()) {
	t.seq++
	heap.Push(t, timer{at, t.seq, f})
}

func (t *timers) pop() timer { return heap.Pop(t).(timer) }

// Len, Less, Swap, Push and Pop are heap.Interface.
func (t *timers) Len() int { return len(t.list) }

func (t *timers) Less(i, j int) bool {
	if t.list[i].at.Equal(t.list[j].at) {
		return t.list[i].seq < t.list[j].seq
	}
	return t.list[i].at.Before(t.list[j].at)
}

func (t *timers) Swap(i, j int) { t.list[i], t.list[j] = t.list[j], t.list[i] }

func (t *timers) Push(x any) { t.list = append(t.list, x.(timer)) }

func (t *timers) Pop() any {
	last := len(t.list) - 1
	x := t.list[last]
	t.list[last] = timer{}
	t.list = t.list[:last]
	return x
}
