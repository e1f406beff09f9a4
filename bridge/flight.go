package bridge

import (
	"context"
	"sync"
)

// flight counts the Actions between their request and their published reply.
// Unlike a sync.WaitGroup it may be entered while somebody waits: once closed it
// lets nobody in.
type flight struct {
	idle chan struct{} // closed when it is closed and empty

	mu     sync.Mutex // protects the following
	n      int
	closed bool
}

func newFlight() *flight { return &flight{idle: make(chan struct{})} }

// enter reports whether one more may begin; it then ends with leave.
func (f *flight) enter() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return false
	}
	f.n++
	return true
}

func (f *flight) leave() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.n--; f.closed && f.n == 0 {
		close(f.idle)
	}
}

// close lets nobody in any more. It is called once.
func (f *flight) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	if f.n == 0 {
		close(f.idle)
	}
}

// wait reports whether all had left before ctx ended.
func (f *flight) wait(ctx context.Context) bool {
	select {
	case <-f.idle:
		return true
	case <-ctx.Done():
		return false
	}
}
