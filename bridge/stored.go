package bridge

import (
	"context"
	"strconv"
	"time"

	"go.uber.org/zap"
)

// What was sent may have been stored although no acknowledgement came back. The
// stream knows the ids of what it stored for its duplicate window and no longer.
// So before an event is sent again that was first sent long ago, the stream is
// read for what it holds of all that its server has to send again (held.go). What
// it holds is safe; nothing else is, wherever it stood: one may have been refused
// and those behind it stored. The rest goes out again.
//
// A replica that lags behind makes a repeat at worst, and only if it does so for
// half of the duplicate window: what it lacked then is known by its id still.
//
// The publisher does not wait for the answer. Meanwhile nothing of that server is
// sent, which keeps the order, and the others go on.

// storedPatience is for how long questions may go unanswered before all is sent
// again without the answer: one who may not ask gets none. A connection that has
// died is known as such sooner.
const storedPatience = time.Minute

// doubt is why an event may be stored: it was sent, and nobody said what came of
// it. Those that were sent again together share one. It does not change.
type doubt struct {
	since time.Time // when the first of them was first sent, or known not to be stored
	after uint64    // what the stream had as its last then, as far as was heard; 0: not known
}

// forgetsAfter is for how long after an event was sent the stream surely knows its
// id, with time left to send it again.
func (b *Bridge) forgetsAfter() time.Duration {
	return duplicates(b.cfg.Stream.MaxAge)/2 - ackTimeout
}

// heldAnswer is what the stream holds of what a server has to send again.
type heldAnswer struct {
	source int
	ids    map[string]bool // those asked for: whether it is held
	doubt  doubt           // of those that are not known to be
	err    error           // why not all of the stream was read that may hold them
}

// ask asks what the stream holds of that which id has to send again, if it may
// have forgotten the ids. It reports whether the answer is to be waited for.
func (p *publisher) ask(ctx context.Context, id int, now time.Time) bool {
	r := &p.retries[id]
	if p.js == nil || r.answered {
		r.answered = false
		return false
	}
	ids := map[string]bool{}
	d := p.outboxes[id].doubtful(func(e *outboxEntry) { ids[string(p.appendID(nil, id, e))] = false })
	if d.since.IsZero() || elapsed(d.since, now) < p.forgets {
		return false
	}
	r.asking = true
	p.asking.Go(func() {
		a := heldAnswer{source: id, ids: ids}
		a.doubt, a.err = p.held(ctx, p.filters[id], ids, d)
		p.answers <- a
	})
	return true
}

// onHeld hears what the stream holds.
func (p *publisher) onHeld(a heldAnswer, now time.Time) {
	r := &p.retries[a.source]
	r.asking, r.due = false, now
	o, server := p.outboxes[a.source], zap.String("server", p.names[a.source])
	n := o.stored(func(e *outboxEntry) bool { return a.ids[string(p.appendID(nil, a.source, e))] })
	if n > 0 {
		p.log.Info("events were stored without an acknowledgement", server, zap.Int("count", n))
	}
	if a.err != nil {
		if r.asked.IsZero() {
			r.asked = now
		}
		if elapsed(r.asked, now) < storedPatience {
			r.due = now.Add(r.delays.NextBackOff())
			o.doubtAll(a.doubt)
			return
		}
		p.log.Warn("events may be stored twice: what the stream holds of them is not to be had", server, zap.Error(a.err))
		a.doubt.since = now
	}
	o.doubtAll(a.doubt)
	r.asked, r.answered = time.Time{}, true
}

// appendID appends the message id of an event or Gap.
func (p *publisher) appendID(t []byte, id int, e *outboxEntry) []byte {
	t = append(append(append(append(t, p.node...), '.'), p.names[id]...), '.')
	t = append(append(t, e.session...), '.')
	t = strconv.AppendUint(t, e.seq, 10)
	if e.gap > 0 {
		t = strconv.AppendUint(append(t, '.'), e.gap, 10)
	}
	return t
}

// rewind makes everything that is not acknowledged to be sent again, and reports
// whether there is anything to send. What was in flight and is acknowledged, by
// its place there, is released; the rest is in doubt as d says.
func (o *outbox) rewind(d *doubt, acked func(i int) bool) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i := o.sent.n - 1; i >= 0; i-- {
		s := *o.sent.at(i)
		if s.hole == nil {
			o.inFlight--
			o.queued++
		}
		if acked != nil && acked(i) {
			o.release(&s)
			continue
		}
		if s.doubt == nil {
			s.doubt = d
		}
		o.again.pushFront(s)
	}
	o.sent = deque[slot]{}
	o.judge(false)
	return o.left() > 0
}

// release frees an event that waits to be sent again, as published.
func (o *outbox) release(s *slot) {
	if s.hole == nil {
		o.published++
		o.queued--
	}
	o.free(s)
}

// doubtful names what is to be sent again, and returns the doubt that is that of
// all of it: zero without any.
func (o *outbox) doubtful(name func(e *outboxEntry)) (all doubt) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i := range o.again.n {
		s := o.again.at(i)
		name(&s.outboxEntry)
		d := s.doubt
		switch {
		case d == nil:
		case all.since.IsZero():
			all = *d
		default:
			if d.since.Before(all.since) {
				all.since = d.since
			}
			all.after = min(all.after, d.after)
		}
	}
	return all
}

// doubtAll has what is to be sent again be in doubt as d says.
func (o *outbox) doubtAll(d doubt) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i := range o.again.n {
		o.again.at(i).doubt = &d
	}
}

// stored releases as published what is to be sent again and is held by the
// stream, and returns how much that was. The rest keeps its order.
func (o *outbox) stored(held func(e *outboxEntry) bool) (n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for range o.again.n {
		s := o.again.popFront()
		if !held(&s.outboxEntry) {
			o.again.pushBack(s)
			continue
		}
		o.release(&s)
		n++
	}
	o.judge(false)
	return n
}
