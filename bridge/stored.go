package bridge

import (
	"context"
	"strconv"
	"time"

	"go.uber.org/zap"
)

// What was sent may have been stored although no acknowledgement came back. The
// stream knows the ids of what it stored for its duplicate window and no longer.
// So before events are sent again whose first failure was long ago, the stream
// is asked for the last of their server that it holds: all up to that one are
// safe.

// storedPatience is for how long questions may go unanswered before all is sent
// again without the answer: one who may not ask gets none. A connection that has
// died is known as such sooner.
const storedPatience = time.Minute

// storedTimeout bounds one question. The publisher waits meanwhile: a stream
// that does not answer takes nothing either.
const storedTimeout = 2 * time.Second

// forgetsAfter is for how long after a failure the stream surely knows the ids
// of what was sent before it.
func (b *Bridge) forgetsAfter() time.Duration {
	return duplicates(b.cfg.Stream.MaxAge)/2 - ackTimeout
}

// askStored releases what the stream holds of that which id has to send again,
// if it may have forgotten the ids. It reports whether sending may go on.
func (p *publisher) askStored(ctx context.Context, id int, now time.Time) bool {
	r := &p.retries[id]
	if p.js == nil || now.Sub(r.since) < p.forgets {
		return true
	}
	last, err := p.lastStored(ctx, id)
	if err != nil {
		if r.asked.IsZero() {
			r.asked = now
		}
		if now.Sub(r.asked) < storedPatience {
			return false
		}
		p.log.Warn("events may be stored twice: the last in the stream is not to be had",
			zap.String("server", p.names[id]), zap.Error(err))
	}
	if n := p.outboxes[id].stored(func(e *outboxEntry) bool { return last != "" && string(p.appendID(nil, id, e)) == last }); n > 0 {
		p.log.Info("events were stored without an acknowledgement", zap.String("server", p.names[id]), zap.Int("count", n))
	}
	r.since, r.asked = now, time.Time{}
	return true
}

// lastStored returns the id of the last event of a server in the stream, empty
// if there is none.
func (p *publisher) lastStored(ctx context.Context, id int) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, storedTimeout)
	defer cancel()
	msg, _, err := lastOn(ctx, p.js, p.filters[id])
	if msg == nil {
		return "", err
	}
	return msg.Header.Get("Nats-Msg-Id"), nil
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

// stored releases as published what was sent before a failure, up to the one
// that is the last in the stream, and returns how many that were.
func (o *outbox) stored(last func(e *outboxEntry) bool) (n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for n = o.again.n; n > 0 && !last(&o.again.at(n-1).outboxEntry); n-- {
	}
	for range n {
		s := o.again.popFront()
		if s.hole == nil {
			o.published++
			o.queued--
		}
		o.free(&s)
	}
	o.judge(false)
	return n
}

// repeating returns since as long as something is to be sent again.
func (o *outbox) repeating(since time.Time) time.Time {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.again.n == 0 {
		return time.Time{}
	}
	return since
}
