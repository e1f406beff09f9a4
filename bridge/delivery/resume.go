package delivery

import (
	"context"
	"errors"
	"strconv"
	"time"

	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/clock"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/natsconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/outbox"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/standby"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
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

// forgetsAfter is for how long after an event was sent the stream surely knows its
// id, with time left to send it again.
func forgetsAfter(cfg *config.Config) time.Duration {
	return streams.Duplicates(cfg.Stream.MaxAge)/2 - natsconn.AckTimeout
}

// heldAnswer is what the stream holds of what a server has to send again.
type heldAnswer struct {
	source int
	ids    map[string]bool // those asked for: whether it is held
	doubt  outbox.Doubt    // of those that are not known to be
	err    error           // why not all of the stream was read that may hold them
}

// askHeld asks what the stream holds of that which id has to send again, if it may
// have forgotten the ids. It reports whether the answer is to be waited for.
func (p *Publisher) askHeld(ctx context.Context, id int, now time.Time) bool {
	r := p.retry(id)
	if p.fast == nil || r.answered {
		r.answered = false
		return false
	}
	ids := map[string]bool{}
	d := p.source(id).Outbox.Doubtful(func(e *outbox.Entry) { ids[string(p.appendID(nil, id, e))] = false })
	if d.Since.IsZero() || clock.Elapsed(d.Since, now) < p.forgets {
		return false
	}
	r.asking = true
	p.asking.Go(func() {
		a := heldAnswer{source: id, ids: ids}
		a.doubt, a.err = p.held(ctx, p.source(id).Filter, ids, d)
		select {
		case p.answers <- a:
		case <-ctx.Done():
		}
	})
	return true
}

// onHeld hears what the stream holds.
func (p *Publisher) onHeld(a heldAnswer, now time.Time) {
	r := p.retry(a.source)
	r.asking, r.due = false, now
	o, server := p.source(a.source).Outbox, zap.String("server", p.source(a.source).Name)
	n := o.Stored(func(e *outbox.Entry) bool { return a.ids[string(p.appendID(nil, a.source, e))] })
	if n > 0 {
		p.log.Info("events were stored without an acknowledgement", server, zap.Int("count", n))
	}
	if a.err != nil {
		if r.asked.IsZero() {
			r.asked = now
		}
		if clock.Elapsed(r.asked, now) < storedPatience {
			if !errors.Is(a.err, context.DeadlineExceeded) { // which has taken its time
				r.due = now.Add(r.delays.NextBackOff())
			}
			o.DoubtAll(a.doubt)
			return
		}
		p.log.Warn("events may be stored twice: the stream does not say which of them it holds", server, zap.Error(a.err))
		a.doubt.Since = now
	}
	o.DoubtAll(a.doubt)
	r.asked, r.answered = time.Time{}, true
}

// appendID appends the message id of an event or Gap.
func (p *Publisher) appendID(t []byte, id int, e *outbox.Entry) []byte {
	if p.lead != nil {
		return standby.ID{Server: p.source(id).Name, Epoch: e.Session, N: e.Seq, Hash: e.Hash}.AppendTo(t)
	}
	t = append(append(append(append(t, p.node...), '.'), p.source(id).Name...), '.')
	t = append(append(t, e.Session...), '.')
	t = strconv.AppendUint(t, e.Seq, 10)
	if e.Gap > 0 {
		t = strconv.AppendUint(append(t, '.'), e.Gap, 10)
	}
	return t
}
