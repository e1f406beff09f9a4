package replay

import (
	"context"
	"time"
)

// Pace lets as much time pass between events as there was when they were read.
type Pace struct {
	Speed float64 // 2 is twice as fast

	first, began time.Time
}

// Wait waits until the event read at a time is due, or ctx ends.
func (p *Pace) Wait(ctx context.Context, read time.Time) error {
	if p.began.IsZero() {
		p.first, p.began = read, time.Now()
	}
	after := time.Duration(float64(read.Sub(p.first)) / p.Speed)
	if wait := time.Until(p.began.Add(after)); wait > 0 {
		return pause(ctx, wait)
	}
	return nil
}
