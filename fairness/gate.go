package fairness

import (
	"cmp"
	"context"

	"golang.org/x/sync/semaphore"
	"golang.org/x/time/rate"
)

// Gate lets a bounded number through at a time and at a bounded rate, in the
// order of arrival. Whoever is cancelled while waiting leaves no hole.
type Gate struct {
	places *semaphore.Weighted // in order of arrival
	rate   *rate.Limiter
}

// NewGate returns a Gate for so many at a time and so many a second.
func NewGate(concurrency int, perSecond float64) *Gate {
	return &Gate{
		places: semaphore.NewWeighted(int64(concurrency)),
		rate:   rate.NewLimiter(rate.Limit(perSecond), 1),
	}
}

// Acquire waits for a turn. The function that it returns ends the turn and
// must be called once. The error is that of ctx.
func (g *Gate) Acquire(ctx context.Context) (release func(), err error) {
	if err := g.places.Acquire(ctx, 1); err != nil {
		return nil, err
	}
	if err := g.rate.Wait(ctx); err != nil {
		g.places.Release(1)
		// With a deadline that is too near the limiter has an error of its own.
		return nil, cmp.Or(ctx.Err(), context.DeadlineExceeded)
	}
	return func() { g.places.Release(1) }, nil
}
