package actions

import (
	"context"
	"sync"
)

// inFlight counts the Actions between their request and their published reply.
// Unlike a sync.WaitGroup it may be entered while somebody waits: once closed it
// lets nobody in.
type inFlight struct {
	idle chan struct{} // closed when it is closed and empty

	mu     sync.Mutex // protects the following
	n      int
	closed bool
}

func newInFlight() *inFlight { return &inFlight{idle: make(chan struct{})} }

// enter reports whether one more may begin; it then ends with leave.
func (f *inFlight) enter() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return false
	}
	f.n++
	return true
}

func (f *inFlight) leave() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.n--; f.closed && f.n == 0 {
		close(f.idle)
	}
}

// close lets nobody in any more. It is called once.
func (f *inFlight) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	if f.n == 0 {
		close(f.idle)
	}
}

// wait returns how many had not left when ctx ended, 0 as soon as all have.
func (f *inFlight) wait(ctx context.Context) (left int) {
	select {
	case <-f.idle:
		return 0
	case <-ctx.Done():
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.n
	}
}
