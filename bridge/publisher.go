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
	// ackTimeout is how long an acknowledgement may take before a server's
	// events that are not acknowledged are sent again.
	ackTimeout = 5 * time.Second
	// ackCheck is how often that is looked at.
	ackCheck = 250 * time.Millisecond
)

// publisher is the only one that publishes events. It drains the outboxes in
// the scheduler's order, on a connection of its own. What it sent waits in the
// window until it is acknowledged; when that fails for a server, all of that
// server's is sent again from the oldest on (go-back-N), so that the order
// holds, and the message id makes the repeats harmless. Other servers go on.
type publisher struct {
	nc        *nats.Conn
	dials     *dials // of nc
	dialled   uint64 // those that were seen
	delivery  delivery
	scheduler *fairness.Scheduler
	outboxes  []*outbox // by the scheduler's numbers
	names     []string  // their servers' names
	tellGap   []func(gap)
	node      string
	log       *zap.Logger
	window    *window

	msg     nats.Msg
	payload []byte
	text    []byte // what the headers' strings point into

	retries []retry // by the scheduler's numbers
	failing []int   // the sources that have a retry
}

// retry is how a server whose events were refused or lost is tried again.
type retry struct {
	delays *backoff.ExponentialBackOff
	due    time.Time // zero: being tried
}

// delivery is how a published event is acknowledged.
type delivery interface {
	// prepare completes msg, which is the number'th of source.
	prepare(msg *nats.Msg, source int, number uint64)
	// settle is called when nothing more can be sent now. It may wait for NATS.
	settle() error
}

// newPublisher wires the publisher of b.
func (b *Bridge) newPublisher() (*publisher, error) {
	p := &publisher{
		nc: b.events, dials: &b.dials, dialled: b.dials.begun.Load(),
		scheduler: b.scheduler, node: b.cfg.Node, log: b.log.Named("publisher"),
	}
	for _, s := range b.servers {
		p.outboxes = append(p.outboxes, s.outbox)
		p.names = append(p.names, s.cfg.Name)
		p.tellGap = append(p.tellGap, s.tellGap)
	}
	p.retries = make([]retry, len(b.servers))
	p.window = newWindow(p.outboxes, b.scheduler.Ready)
	p.msg.Header = nats.Header{"Nats-Msg-Id": {""}, "Ami-Seq": {""}, "Ami-Time": {""}}
	if b.cfg.Delivery == DeliverCore {
		p.delivery = &coreDelivery{nc: p.nc, window: p.window}
		return p, nil
	}
	p.msg.Header["Nats-Expected-Stream"] = []string{EventStream}
	acks, err := newStreamDelivery(p.nc, p.window)
	p.delivery = acks
	return p, err
}

// run publishes until ctx ends. What is left in the outboxes then is the
// caller's to report.
func (p *publisher) run(ctx context.Context) {
	states := p.nc.StatusChanged(nats.RECONNECTING, nats.CONNECTED)
	defer p.nc.RemoveStatusListener(states)
	check := time.NewTicker(ackCheck)
	defer check.Stop()
	for ctx.Err() == nil {
		// A reconnect is looked at before anything is sent behind it: what was
		// lost with the old connection comes first.
		select {
		case state := <-states:
			p.onState(state)
		default:
		}
		if n := p.dials.begun.Load(); n != p.dialled {
			p.dialled = n
			p.window.failAll(nats.ErrDisconnected)
		}
		due := p.recover(time.Now())
		if !p.window.full() && p.turn() {
			continue
		}
		if err := p.delivery.settle(); err != nil {
			p.window.failAll(err)
			continue
		}
		var wake <-chan struct{}
		if !p.window.full() {
			wake = p.scheduler.Wake()
		}
		select {
		case <-ctx.Done():
		case <-wake:
		case <-due:
		case <-p.window.changed:
		case state := <-states:
			p.onState(state)
		case now := <-check.C:
			p.window.expire(now)
		}
	}
}

// onState hears that the connection went or came.
func (p *publisher) onState(state nats.Status) {
	if state == nats.RECONNECTING {
		p.window.failAll(nats.ErrDisconnected)
		return
	}
	for _, id := range p.failing {
		if r := &p.retries[id]; !r.due.IsZero() {
			r.due = time.Now()
		}
	}
}

// recover sends again what has failed, each server's after a delay of its own,
// and returns a channel that receives when the next one is due.
func (p *publisher) recover(now time.Time) <-chan time.Time {
	p.noteFailures(now)
	var next time.Time
	failing := p.failing[:0]
	for _, id := range p.failing {
		r := &p.retries[id]
		failure, probing := p.window.state(id)
		if failure == nil && !probing {
			p.log.Info("events flow again", zap.String("server", p.names[id]))
			*r = retry{}
			continue
		}
		failing = append(failing, id)
		if r.due.IsZero() {
			continue
		}
		if !now.Before(r.due) {
			if p.nc.IsConnected() {
				p.again(id)
				continue
			}
			r.due = now.Add(r.delays.NextBackOff())
		}
		if next.IsZero() || r.due.Before(next) {
			next = r.due
		}
	}
	p.failing = failing
	if next.IsZero() {
		return nil
	}
	return time.After(next.Sub(now))
}

// noteFailures sets when each server that has failed is tried again.
func (p *publisher) noteFailures(now time.Time) {
	for _, id := range p.window.takeFailures(nil) {
		r := &p.retries[id]
		if r.delays == nil {
			failure, _ := p.window.state(id)
			if !gone(failure) && !errors.Is(failure, errRefused) {
				p.log.Warn("events wait in the outbox", zap.String("server", p.names[id]), zap.Error(failure))
			}
			r.delays = backoff.NewExponentialBackOff()
			r.delays.InitialInterval, r.delays.MaxInterval = 50*time.Millisecond, 5*time.Second
			p.failing = append(p.failing, id)
		}
		r.due = now.Add(r.delays.NextBackOff())
		if failure, _ := p.window.state(id); errors.Is(failure, errRefused) {
			r.due = now // a Gap has taken its place: nothing to wait for
		}
	}
}

// again goes back to the oldest event of id that is not acknowledged.
func (p *publisher) again(id int) {
	p.retries[id].due = time.Time{}
	p.window.reset(id)
	if p.outboxes[id].rewind() {
		p.scheduler.Ready(id)
		return
	}
	// Everything was dropped meanwhile: there is nothing to probe with.
	p.window.settled(id)
}

// turn serves the next server and reports whether there was one.
func (p *publisher) turn() bool {
	id, budget, ok := p.scheduler.Next()
	if !ok {
		return false
	}
	o := p.outboxes[id]
	used := 0
	for used < budget && p.window.room(id) {
		e, payload, told, ok := o.take(p.payload)
		p.payload = payload
		if !ok {
			break
		}
		if told != nil {
			p.tellGap[id](*told)
		}
		p.send(id, e)
		used += len(payload) + entryBytes
	}
	if cap(p.payload) > keptPayload {
		p.payload = nil
	}
	p.scheduler.Served(id, used, p.window.open(id) && o.waiting())
	return true
}

// send publishes p.payload as the event e and notes what came of it.
func (p *publisher) send(id int, e outboxEntry) {
	number := p.window.add(id)
	err := p.publish(id, number, e)
	switch {
	case err == nil:
	case errors.Is(err, nats.ErrMaxPayload):
		p.log.Error("event dropped", zap.String("reason", dropOversize), zap.String("subject", e.subject),
			zap.Int("bytes", len(p.payload)), zap.Int64("max_payload", p.nc.MaxPayload()))
		p.window.refuse(id, number)
	default:
		p.window.fail(id, fmt.Errorf("publish: %w", err))
	}
}

// publish sends p.payload as the event e. Its own part allocates nothing: the
// headers' strings point into p.text, which is safe because PublishMsg copies
// the headers and the payload into the connection's buffer before it returns
// (nats.go, Conn.publish). They must not be kept.
func (p *publisher) publish(id int, number uint64, e outboxEntry) error {
	t := p.text[:0]
	t = append(append(append(append(t, p.node...), '.'), p.names[id]...), '.')
	t = append(append(t, e.session...), '.')
	t = strconv.AppendUint(t, e.seq, 10)
	if e.gap > 0 {
		t = strconv.AppendUint(append(t, '.'), e.gap, 10)
	}
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
	p.delivery.prepare(&p.msg, id, number)
	if !p.dials.enter(p.dialled) {
		return nats.ErrDisconnected
	}
	defer p.dials.leave()
	return p.nc.PublishMsg(&p.msg)
}

func borrow(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
