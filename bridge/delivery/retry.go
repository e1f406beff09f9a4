package delivery

import (
	"context"
	"errors"
	"time"

	"github.com/cenkalti/backoff/v5"
	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/natsconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
)

// retry is how a server whose events were refused or lost is tried again.
type retry struct {
	delays   *backoff.ExponentialBackOff
	due      time.Time // zero: being tried
	asking   bool      // what the stream holds, before anything is sent
	asked    time.Time // since then nobody answers that; zero: somebody did
	answered bool      // just now
	waits    bool      // for more than what is harmless: that it flows again is worth a line
	logged   bool      // that it waits
}

// endedWait is the longest wait after a batch that the stream has ended. It does so whenever another
// bridge comes to lead one of the servers whose events went in it, and has nothing against the others':
// where many leads move it does so again and again.
const endedWait = 250 * time.Millisecond

// recover sends again what has failed, each server's after a delay of its own,
// and returns a channel that receives when the next one is due.
func (p *Publisher) recover(ctx context.Context, now time.Time) <-chan time.Time {
	p.noteFailures(now)
	var next time.Time
	var flow []string
	well := false
	failing := p.failing[:0]
	for _, id := range p.failing {
		r := p.retry(id)
		failure, probing := p.window.state(id)
		if failure == nil && !probing {
			well = true
			if r.waits && p.source(id).mayFlow() {
				flow = append(flow, p.source(id).Name)
			}
			*r = retry{}
			continue
		}
		failing = append(failing, id)
		if r.due.IsZero() || r.asking {
			continue
		}
		if !now.Before(r.due) {
			if p.nc.IsConnected() {
				p.rewind(ctx, id, now)
				continue
			}
			r.due = now.Add(r.delays.NextBackOff())
		}
		if next.IsZero() || r.due.Before(next) {
			next = r.due
		}
	}
	p.failing = failing
	if well && !p.anyRefused() {
		p.streams.Stored(streams.EventStream, nil)
	}
	if len(flow) > 0 {
		p.log.Info("events flow again", zap.Strings("servers", flow))
	}
	if next.IsZero() {
		return nil
	}
	return time.After(next.Sub(now))
}

// noteFailures sets when each server that has failed is tried again.
func (p *Publisher) noteFailures(now time.Time) {
	var names []string
	var why error
	for _, id := range p.window.takeFailures(nil) {
		r := p.retry(id)
		failure, _ := p.window.state(id)
		first, ended := r.delays == nil, errors.Is(failure, errBatchEnded)
		harms := !harmless(failure) && !(first && ended)
		faulty := harms && !isDisconnected(failure)
		r.waits = r.waits || harms
		if faulty && !r.logged {
			r.logged = true
			names, why = append(names, p.source(id).Name), failure
		}
		if first {
			r.delays = backoff.NewExponentialBackOff()
			r.delays.InitialInterval, r.delays.MaxInterval = 50*time.Millisecond, 5*time.Second
			p.failing = append(p.failing, id)
		}
		if faulty || errors.Is(failure, errRefused) {
			p.streams.Stored(streams.EventStream, failure)
		}
		switch wait := r.delays.NextBackOff(); {
		case !harms:
			r.due = now
		case ended:
			r.due = now.Add(min(wait, endedWait))
		default:
			r.due = now.Add(wait)
		}
	}
	if why != nil {
		p.log.Warn("events wait in the outbox", zap.Strings("servers", names), zap.Error(why))
	}
}

// anyRefused reports whether events of a server are refused. That others' are stored does not
// mend it: told in turn, the one and the other would be all that is ever heard of the stream.
func (p *Publisher) anyRefused() bool {
	for _, id := range p.failing {
		if p.retries[id].logged {
			return true
		}
	}
	return false
}

// harmless reports whether err is no reason to wait: a Gap has taken the place
// of what was refused, or another way of delivery was taken up.
func harmless(err error) bool {
	return errors.Is(err, errRefused) || errors.Is(err, errNoFastIngest) || errors.Is(err, errNewMode) || errors.Is(err, errOthers) ||
		errors.Is(err, errFence) || errors.Is(err, errForgotten)
}

// rewind goes back to the oldest event of id that is not acknowledged, once it is
// known what the stream holds.
func (p *Publisher) rewind(ctx context.Context, id int, now time.Time) {
	p.window.rewind(id)
	if p.askHeld(ctx, id, now) {
		return
	}
	p.retry(id).due = time.Time{}
	p.window.reset(id)
	if p.source(id).Outbox.Waiting() {
		p.scheduler.Ready(id)
		return
	}
	// Everything was dropped meanwhile, or is stored: there is nothing to probe with.
	p.window.endProbing(id)
}

// denied hears that NATS does not let the bridge publish on a subject: it says so
// beside the events, and nothing in their place. The server whose event it was
// waits; the others go on at once.
func (p *Publisher) denied(err error) {
	subject, publish, denied := natsconn.Denial(err)
	if p.windowed == nil || !publish {
		return
	}
	if subject == heldSubject {
		p.mayNotRead.Store(&denied)
	}
	for id, s := range p.all() {
		if natsconn.Covers(s.Filter, subject) {
			p.window.fail(id, denied)
			if p.fast != nil { // and if it is not in force it has no batch
				p.fast.fail(errOthers)
			}
		}
	}
}
