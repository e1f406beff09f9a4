package replay

import (
	"context"
	"time"
)

// Pace lets as much time pass between events as there was when they were read.
type Pace struct {
	Speed float64 // 2 is twice as fast

	began  time.Time
	due    time.Duration // of the last event, at the pace of the original
	read   time.Time     // the latest that was waited for
	stored time.Time     // the last event
}

// longestStep is for how long nothing may have been read though the stream went on storing: of more
// than that the stream's clock decides, for Ami-Time says what a bridge's clock, or anybody, did.
const longestStep = 24 * time.Hour

// Wait waits until e is due, or ctx ends.
func (p *Pace) Wait(ctx context.Context, e *Event) error {
	read := e.by()
	if p.began.IsZero() {
		p.began, p.read, p.stored = time.Now(), read, e.Stored
	}
	if step := read.Sub(p.read); step > 0 {
		if step > longestStep {
			step = max(0, min(step, e.Stored.Sub(p.stored)))
		}
		p.due += step
		p.read = read
	}
	p.stored = e.Stored
	if wait := time.Until(p.began.Add(time.Duration(float64(p.due) / p.Speed))); wait > 0 {
		return pause(ctx, wait)
	}
	return nil
}
