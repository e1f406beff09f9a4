package bridge

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"
	"unsafe"

	"github.com/cenkalti/backoff/v5"
	"github.com/nats-io/nats.go"
	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/fairness"
)

const (
	// windowMsgs bounds what is sent and not acknowledged, of all servers
	// together. When it is full the publisher waits and the outboxes fill.
	windowMsgs = 2048
	// ackTimeout is how long an acknowledgement may take before everything
	// that is not acknowledged is sent again.
	ackTimeout = 5 * time.Second
	// ackCheck is how often that is looked at.
	ackCheck = 250 * time.Millisecond
)

// publisher is the only one that publishes events. It drains the outboxes in
// the scheduler's order, on a connection of its own. What it sent waits in the
// window until it is acknowledged; when that fails, all of it is sent again
// from the oldest on (go-back-N), so that the order holds, and the message id
// makes the repeats harmless.
type publisher struct {
	nc        *nats.Conn
	delivery  delivery
	scheduler *fairness.Scheduler
	outboxes  []*outbox // by the scheduler's numbers
	names     []string  // their servers' names
	node      string
	log       *zap.Logger

	msg     nats.Msg
	payload []byte
	text    []byte // what the headers' strings point into

	window window
}

// delivery is how a published event is acknowledged.
type delivery interface {
	// prepare completes msg, which is the number'th of all.
	prepare(msg *nats.Msg, number uint64)
	// settle is called after each server's turn. It may wait for NATS.
	settle() error
}

// newPublisher wires the publisher of b.
func (b *Bridge) newPublisher() (*publisher, error) {
	p := &publisher{
		nc: b.events, scheduler: b.scheduler, node: b.cfg.Node, log: b.log.Named("publisher"),
		window: window{changed: make(chan struct{}, 1)},
	}
	for _, s := range b.servers {
		p.outboxes = append(p.outboxes, s.outbox)
		p.names = append(p.names, s.cfg.Name)
	}
	p.window.outboxes = p.outboxes
	p.msg.Header = nats.Header{"Nats-Msg-Id": {""}, "Ami-Seq": {""}, "Ami-Time": {""}}
	if b.cfg.Delivery == DeliverCore {
		p.delivery = &coreDelivery{nc: p.nc, window: &p.window}
		return p, nil
	}
	acks, err := newStreamDelivery(p.nc, &p.window)
	p.delivery = acks
	return p, err
}

// run publishes until ctx ends. What is left in the outboxes then is the
// caller's to report.
func (p *publisher) run(ctx context.Context) {
	states := p.nc.StatusChanged(nats.RECONNECTING)
	check := time.NewTicker(ackCheck)
	defer check.Stop()
	delays := backoff.NewExponentialBackOff()
	delays.InitialInterval, delays.MaxInterval = 50*time.Millisecond, 5*time.Second
	failing := false // and a warning has told
	for ctx.Err() == nil {
		if err := p.window.failed(); err != nil {
			if !failing {
				p.log.Warn("events wait in the outbox", zap.Error(err))
			}
			failing = true
			p.recover(ctx, states, delays.NextBackOff())
			continue
		}
		if !p.window.full() && p.turn() {
			continue
		}
		var wake <-chan struct{}
		if !p.window.full() {
			wake = p.scheduler.Wake()
		}
		select {
		case <-ctx.Done():
		case <-wake:
		case <-p.window.changed:
			if p.window.progressed() {
				if failing {
					p.log.Info("events flow again")
				}
				failing = false
				delays.Reset()
			}
		case <-states:
			p.window.fail(nats.ErrDisconnected)
		case now := <-check.C:
			p.window.expire(now)
		}
	}
}

// turn serves the next server and reports whether there was one.
func (p *publisher) turn() bool {
	id, budget, ok := p.scheduler.Next()
	if !ok {
		return false
	}
	o := p.outboxes[id]
	used := 0
	for used < budget && !p.window.full() {
		e, payload, pos, ok := o.take(p.payload)
		p.payload = payload
		if !ok {
			break
		}
		if err := p.publish(id, pos, e); err != nil {
			p.window.fail(err)
			break
		}
		used += len(payload) + entryBytes
	}
	if cap(p.payload) > keptPayload {
		p.payload = nil
	}
	p.scheduler.Served(id, used, o.waiting())
	if p.window.failed() != nil {
		return true
	}
	if err := p.delivery.settle(); err != nil {
		p.window.fail(err)
	}
	return true
}

// publish sends p.payload as the event e. Its own part allocates nothing: the
// headers' strings point into p.text, which is safe because PublishMsg copies
// the headers and the payload into the connection's buffer before it returns
// (nats.go, Conn.publish). They must not be kept.
func (p *publisher) publish(id int, pos uint64, e outboxEntry) error {
	t := p.text[:0]
	t = append(append(append(append(t, p.node...), '.'), p.names[id]...), '.')
	t = append(append(t, e.session...), '.')
	t = strconv.AppendUint(t, e.seq, 10)
	a := len(t)
	t = append(append(t, e.session...), ':')
	t = strconv.AppendUint(t, e.seq, 10)
	b := len(t)
	t = time.Unix(0, e.at).UTC().AppendFormat(t, timeFormat)
	p.text = t
	p.msg.Header["Nats-Msg-Id"][0] = borrow(t[:a])
	p.msg.Header["Ami-Seq"][0] = borrow(t[a:b])
	p.msg.Header["Ami-Time"][0] = borrow(t[b:])
	p.msg.Subject, p.msg.Data = e.subject, p.payload
	number := p.window.add(id, pos)
	p.delivery.prepare(&p.msg, number)
	err := p.nc.PublishMsg(&p.msg)
	if errors.Is(err, nats.ErrMaxPayload) {
		p.log.Error("event dropped", zap.String("reason", dropOversize), zap.String("subject", e.subject),
			zap.Int("bytes", len(p.payload)), zap.Int64("max_payload", p.nc.MaxPayload()))
		p.window.refuse(number)
		return nil
	}
	if err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	return nil
}

func borrow(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// recover waits for NATS, at least for delay, and makes everything that is not
// acknowledged to be sent again.
func (p *publisher) recover(ctx context.Context, states <-chan nats.Status, delay time.Duration) {
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return
	case <-timer.C:
	}
	if !p.nc.IsConnected() {
		// The failure stays: this comes again, with a longer delay.
		return
	}
	// What the connection went through meanwhile is no news any more.
	for len(states) > 0 {
		<-states
	}
	p.window.reset()
	for id, o := range p.outboxes {
		if o.rewind() {
			p.scheduler.Ready(id)
		}
	}
}
