package outbox

import (
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/deque"
)

// Doubt is why an event may be stored: it was sent, and nobody said what came of
// it. Those that were sent again together share one. It does not change.
type Doubt struct {
	Since time.Time // when the first of them was first sent, or known not to be stored
	After uint64    // what the stream had as its last then, as far as was heard; 0: not known
}

// Rewind makes everything that is not acknowledged to be sent again, and reports
// whether there is anything to send. What was in flight and is acknowledged, by
// its place there, is released; the rest is in doubt as d says.
func (o *Outbox) Rewind(d *Doubt, acked func(i int) bool) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	released := false
	for i := o.sent.Len() - 1; i >= 0; i-- {
		s := *o.sent.At(i)
		if s.gap == nil {
			o.inFlight--
			o.queued++
		}
		if acked != nil && acked(i) {
			o.release(&s)
			released = true
			continue
		}
		if s.doubt == nil {
			s.doubt = d
		}
		o.retry.PushFront(s)
	}
	o.sent = deque.Deque[slot]{}
	o.updateShare(released)
	o.renumber()
	o.updateLevel(false)
	return o.left() > 0
}

// release frees an event that waits to be sent again, as published.
func (o *Outbox) release(s *slot) {
	if s.gap == nil {
		o.published++
		o.queued--
	}
	o.free(s)
}

// Doubtful names what is to be sent again, and returns the doubt that is that of
// all of it: zero without any.
func (o *Outbox) Doubtful(name func(e *Entry)) (all Doubt) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i := range o.retry.Len() {
		s := o.retry.At(i)
		name(&s.Entry)
		d := s.doubt
		switch {
		case d == nil:
		case all.Since.IsZero():
			all = *d
		default:
			if d.Since.Before(all.Since) {
				all.Since = d.Since
			}
			all.After = min(all.After, d.After)
		}
	}
	return all
}

// DoubtAll has what is to be sent again be in doubt as d says.
func (o *Outbox) DoubtAll(d Doubt) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i := range o.retry.Len() {
		o.retry.At(i).doubt = &d
	}
}

// Stored releases as published what is to be sent again and is held by the
// stream, and returns how much that was. The rest keeps its order.
func (o *Outbox) Stored(held func(e *Entry) bool) (n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for range o.retry.Len() {
		s := o.retry.PopFront()
		if !held(&s.Entry) {
			o.retry.PushBack(s)
			continue
		}
		o.release(&s)
		n++
	}
	o.updateShare(n > 0)
	o.updateLevel(false)
	return n
}
