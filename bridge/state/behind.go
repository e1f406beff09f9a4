package state

import (
	"errors"
	"time"
)

const (
	// behindAfter is for how long messages are refused until the bucket is called behind, and calmFor
	// for how long none is until it is not: what there is room for is stored in between.
	behindAfter = 2 * time.Second
	calmFor     = 5 * time.Second
)

// refused notes that a message was, at now. It needs mu.
func (w *writer) refused(err error, now time.Time) {
	if errors.Is(err, errGone) {
		return // that says nothing of the bucket
	}
	if !w.isPressed(now) {
		w.first = now
	}
	w.last = now
}

// isPressed reports whether messages are refused now. It needs mu.
func (w *writer) isPressed(now time.Time) bool { return w.probes || now.Sub(w.last) < calmFor }

// isBehind reports whether the bucket lacks something at now that it refuses, and not for a moment.
func (w *writer) isBehind(now time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.isPressed(now) && !w.first.IsZero() && now.Sub(w.first) > behindAfter
}
