package fairness

import (
	"context"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Gate lets a bounded number through at a time and at a bounded rate. Of those
// that wait, whoever was in last goes first: what has just fallen comes back
// while what has been down for long waits. Every fourth turn is that of whoever
// has waited longest, so that nobody waits for ever. Whoever is cancelled while
// waiting leaves no gap.
type Gate struct {
	mu      sync.Mutex // protects the following
	places  int        // free
	rate    *rate.Limiter
	turns   int
	waiting []*waiter   // in order of arrival
	timer   *time.Timer // looks again when the rate lets the next one in; nil if none is set
}

type waiter struct {
	last time.Time
	turn chan struct{} // closed with its turn
}

// NewGate returns a Gate for so many at a time and so many a second.
func NewGate(concurrency int, perSecond float64) *Gate {
	return &Gate{places: concurrency, rate: rate.NewLimiter(rate.Limit(perSecond), 1)}
}

// Acquire waits for a turn. Last is when the caller was last in, zero if it never
// was; equals go in order of arrival. The function that it returns ends the turn
// and must be called once. The error is that of ctx.
func (g *Gate) Acquire(ctx context.Context, last time.Time) (release func(), err error) {
	w := &waiter{last: last, turn: make(chan struct{})}
	g.mu.Lock()
	g.waiting = append(g.waiting, w)
	g.admit()
	g.mu.Unlock()
	select {
	case <-w.turn:
		return g.release, nil
	case <-ctx.Done():
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for i, other := range g.waiting {
		if other == w {
			g.remove(i)
			return nil, ctx.Err()
		}
	}
	g.places++ // its turn came meanwhile
	g.admit()
	return nil, ctx.Err()
}

func (g *Gate) release() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.places++
	g.admit()
}

// admit gives out turns for as long as places and rate let it.
func (g *Gate) admit() {
	for g.places > 0 && len(g.waiting) > 0 {
		if !g.rate.Allow() {
			g.lookAgain()
			return
		}
		next := g.remove(g.next())
		g.places--
		g.turns++
		close(next.turn)
	}
}

// next returns whose turn it is.
func (g *Gate) next() (best int) {
	if g.turns%4 == 3 {
		return 0
	}
	for i, w := range g.waiting {
		if w.last.After(g.waiting[best].last) {
			best = i
		}
	}
	return best
}

func (g *Gate) remove(i int) *waiter {
	w := g.waiting[i]
	copy(g.waiting[i:], g.waiting[i+1:])
	g.waiting[len(g.waiting)-1] = nil
	g.waiting = g.waiting[:len(g.waiting)-1]
	return w
}

// lookAgain calls admit once the rate lets another one in.
func (g *Gate) lookAgain() {
	if g.timer != nil {
		return
	}
	reservation := g.rate.Reserve()
	wait := reservation.Delay()
	reservation.Cancel()
	g.timer = time.AfterFunc(wait, func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.timer = nil
		g.admit()
	})
}
