package outbox

import (
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/standby"
)

// Tail returns the empty Tail of what the stream holds behind what is known to be stored,
// and since when it may have been stored.
func (o *Outbox) Tail(server string, now time.Time) (*standby.Tail, time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.share.follows == nil {
		return nil, now
	}
	since := o.share.follows.CutAt()
	if since.IsZero() {
		since = now
		if o.waiting.Len() > 0 {
			since = time.Unix(0, o.waiting.At(0).At)
		}
	}
	return o.share.follows.Tail(server), since
}

// Check returns why TakeOver would fail.
func (o *Outbox) Check(t *standby.Tail) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.share.follows == nil {
		return nil
	}
	return o.share.follows.Check(t)
}

// TakeOver has this bridge lead, and send what it holds and the Tail has not. With an
// error nothing has changed.
func (o *Outbox) TakeOver(t *standby.Tail) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	h := o.share
	var stored []int
	l, err := h.follows.TakeOver(t, func(i int) { stored = append(stored, i) })
	if err != nil {
		return err
	}
	o.lead(l, stored)
	return nil
}

// Begin has this bridge lead in a new epoch. A Gap with that hole goes before all, unless
// it is nil.
func (o *Outbox) Begin(t *standby.Tail, gap *Gap) {
	o.mu.Lock()
	defer o.mu.Unlock()
	h := o.share
	var stored []int
	o.lead(h.follows.Begin(h.o.Epoch(), t, func(i int) { stored = append(stored, i) }), stored)
	if gap != nil {
		if o.waiting.Len() > 0 {
			gap.To = max(gap.From, min(gap.To, o.waiting.At(0).At))
		}
		o.waiting.PushFront(o.gapSlot("", gap))
	}
}

// lead releases what is stored of the events that wait, and leads with the rest.
func (o *Outbox) lead(l *standby.Ledger, stored []int) {
	h := o.share
	event := 0
	for range o.waiting.Len() {
		s := o.waiting.PopFront()
		if s.gap == nil {
			event++
			if len(stored) > 0 && stored[0] == event-1 {
				stored = stored[1:]
				o.releaseHeld(&s)
				continue
			}
		}
		o.waiting.PushBack(s)
	}
	h.leads, h.follows, h.open, h.first, h.epochs = l, nil, true, true, false
	o.updateLevel(false)
}

// Stand has this bridge stand by for another that leads in the term. What is in flight
// may be stored still: it is held with the rest, and an acknowledgement of it changes
// nothing. Of a session that has ended nothing is held, and no Gap before all else: who leads
// tells of what is missing before its own events.
func (o *Outbox) Stand(term uint64, now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	h := o.share
	h.open = false
	if h.leads == nil {
		return
	}
	o.takeBack(&o.retry, 0)
	o.takeBack(&o.sent, 0)
	ended, gaps := 0, 0 // how many that wait are of sessions that have ended
	for i := range o.waiting.Len() {
		if gap := o.waiting.At(i).gap; gap != nil {
			if gaps++; gap.asks > 0 || ended == i {
				ended = i + 1
			}
		}
	}
	whole := gaps == 0 && !h.refused && h.lost == 0
	if h.lost > o.asked() {
		ended = o.waiting.Len()
	}
	for range ended {
		if s := o.waiting.PopFront(); s.gap == nil {
			o.releaseHeld(&s)
		} else {
			o.free(&s)
		}
	}
	if !whole {
		h.anew()
		for hash := range o.held {
			h.follows.Read(hash)
		}
		return
	}
	since := now
	if o.waiting.Len() > 0 {
		since = time.Unix(0, o.waiting.At(0).At)
	}
	h.follows, h.leads = h.leads.Follow(term, h.o.Most, since, o.held), nil
}

// held are the hashes of the events that wait, in order.
func (o *Outbox) held(yield func(uint64) bool) {
	for i := range o.waiting.Len() {
		if s := o.waiting.At(i); s.gap == nil && !yield(s.Hash) {
			return
		}
	}
}
