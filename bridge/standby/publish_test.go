package standby

import (
	"fmt"
	"time"
)

func (n *node) publish(now time.Time) {
	if n.machine.phase == draining && len(n.flights) == 0 && !n.ended {
		n.ended = true
		n.step(Event{Kind: Drained})
	}
	if !n.machine.Publishes() || n.leads == nil || n.offline {
		return
	}
	if len(n.flights) > 0 && now.Sub(n.flights[0].at) > 5*time.Second {
		n.rewind()
	}
	end := len(n.held)
	if n.opening {
		end = n.border
		if n.due && end == 0 && len(n.flights) == 0 && !n.gap {
			if err := n.leads.Begin(n.token()); err != nil {
				n.sim.fail("%v", err)
			}
			n.opening, n.due, n.gap, n.gapOut = false, false, true, false
			n.sim.begun(n, BeginEpoch)
			end = len(n.held)
		}
	}
	for sent := 0; (n.gap && !n.gapOut || n.next < end) && len(n.flights) < 200 && sent < 60; sent++ {
		alone := n.machine.phase == first
		if alone && n.firstOut || n.doubt && len(n.flights) > 0 {
			return
		}
		reference := n.ackedAt
		if n.begun.After(reference) {
			reference = n.begun
		}
		if n.open == "" || !MayGoOn(reference, now, SendLease(time.Second)) {
			if !n.machine.Begins() {
				return
			}
			if n.open != "" {
				n.rewind()
			}
			n.doubt = n.doubt || !MayGoOn(n.ackedAt, now, SendLease(time.Second))
			n.batches++
			n.open, n.n, n.begun = fmt.Sprint(n.inc, n.name, "-", n.batches), 0, now
		}
		n.send(alone, now)
	}
}

func (n *node) send(alone bool, now time.Time) {
	number, e := uint64(0), event{}
	if n.gap && !n.gapOut {
		n.gapOut = true
	} else {
		number, e = n.leads.Acked()+uint64(n.next)+1, n.held[n.next]
		n.next++
	}
	if number > n.leads.Sent() {
		if got, ok := n.leads.Send(e.hash()); !ok || got != number {
			n.sim.fail("%s numbers %d as %d, %v", n.name, number, got, ok)
		}
	}
	n.n++
	p := publication{
		batch: n.open, n: n.n, fence: n.machine.Fence(), whole: alone, last: n.last,
		stored: stored{ID{testServer, n.leads.Epoch(), number, e.hash()}, e},
	}
	n.firstOut = n.firstOut || alone
	n.flights = append(n.flights, flight{n.open, n.n, number, now})
	conn, owner := n.conn, n.name+n.inc
	n.ask(func(now time.Time) func() {
		if now.Before(n.mute) {
			n.delayed = append(n.delayed, func(now time.Time) { n.sim.js.publish(owner, p, now) })
			return nil
		}
		code := n.sim.js.publish(owner, p, now)
		return func() {
			if conn == n.conn {
				n.onAck(p, code)
			}
		}
	})
}

// release has what was sent while the node was mute arrive, if any of it does: late, and
// behind what others have sent since.
func (n *node) release(now time.Time) {
	if now.Before(n.mute) || len(n.delayed) == 0 {
		return
	}
	if n.sim.rng.IntN(2) == 0 {
		for _, do := range n.delayed {
			do(now)
		}
	}
	n.delayed = nil
	if n.leads != nil {
		n.rewind()
	}
}

// unable is what the node knows that it cannot do.
func (n *node) unable() Unable {
	switch now := n.sim.now; {
	case now.Before(n.mute):
		return Mute
	case now.Before(n.inert):
		return NoActions
	}
	return ""
}

func (n *node) onAck(p publication, code int) {
	if p.batch != n.open || n.leads == nil {
		return
	}
	switch {
	case code == wrongLast || code == inProcess || code == isRepeat && p.whole: // a repeat hides the fence
		n.step(Event{Kind: Refused})
	case code > isRepeat:
		n.rewind()
	case len(n.flights) > 0 && n.flights[0].n == p.n:
		f := n.flights[0]
		n.flights = n.flights[1:]
		n.gap = n.gap && f.seq > 0
		before := n.leads.Acked()
		n.leads.Ack(f.seq)
		gone := int(n.leads.Acked() - before)
		n.held, n.next, n.border = n.held[gone:], n.next-gone, n.border-gone
		n.ackedAt = f.at
		if n.doubt {
			n.open, n.doubt = "", code == isRepeat
		}
		if p.whole && n.machine.phase == first {
			n.open = ""
			n.step(Event{Kind: FirstStored})
		}
	}
}
