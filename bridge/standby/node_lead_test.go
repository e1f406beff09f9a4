package standby

import (
	"fmt"
	"slices"
	"time"
)

// step has the machine take in an event, and does what it says.
func (n *node) step(e Event) {
	for _, d := range append([]Decision(nil), n.machine.Step(n.sim.now, n.view(), e)...) {
		n.do(d)
	}
}

func (n *node) do(d Decision) {
	js, conn, q := n.sim.js, n.conn, n.machine.Question()
	reply := func(e Event) func() {
		return func() {
			if conn == n.conn {
				n.step(e)
			}
		}
	}
	switch d {
	case Hold:
		n.hold()
	case AskTerm:
		n.ask(func(time.Time) func() {
			term, seq := js.readTerm()
			saw := reply(Event{Kind: SawTerm, Answers: q, Term: term, Seq: seq})
			return func() {
				if term != nil {
					n.knew(term.Node + term.Incarnation)
				}
				saw()
			}
		})
	case WriteTerm:
		rec, fence := *n.machine.Record(), n.machine.Fence()
		n.ask(func(time.Time) func() {
			seq, code := js.write(rec, fence)
			switch {
			case code != 0:
				return reply(Event{Kind: Refused, Answers: q})
			case n.sim.rng.Float64() < js.flaky: // the answer is lost
				return reply(Event{Kind: Failed, Answers: q})
			}
			return func() {
				if conn == n.conn {
					if n.follows != nil {
						n.follows.Claim(rec.Term)
					}
					n.step(Event{Kind: Wrote, Answers: q, Seq: seq})
				}
			}
		})
	case EndBatches:
		n.endBatches()
	case ReadTail:
		n.readTail()
	case Publish, BeginEpoch, BeginFirst:
		n.begin(d)
	case Drain:
		n.ended = false
	case Yield:
	}
}

// knew notes who led. It knows as many as a bridge does.
func (n *node) knew(owner string) {
	n.before = append(slices.DeleteFunc(n.before, func(o string) bool { return o == owner }), owner)
	n.before = n.before[max(0, len(n.before)-4):]
}

// endBatches ends the batches of those who led before, once where one has yielded with nothing in flight.
func (n *node) endBatches() {
	record := n.machine.Record()
	if n.endedIn == record.Term && record.Reason == "yield" && !n.yieldedMute {
		return
	}
	n.endedIn = record.Term
	owners := slices.DeleteFunc(slices.Clone(n.before), func(o string) bool { return o == n.name+n.inc })
	n.ask(func(time.Time) func() { n.sim.js.end(owners); return nil })
}

// hold makes a standby of a leader.
func (n *node) hold() {
	gap := n.gap
	n.flights, n.open, n.firstOut, n.gap = nil, "", false, false
	if n.leads == nil {
		return
	}
	if n.session == nil || n.opening {
		n.held, n.leads = nil, nil
		n.follows = NewFollower(1 << 17)
		n.next, n.opening, n.due = 0, false, false
		return
	}
	n.next = 0
	if !gap {
		n.depose(n.machine.Term())
		return
	}
	n.leads, n.follows = nil, NewFollower(1<<17)
	for _, e := range n.held {
		n.follows.Read(e.hash())
	}
}

func (n *node) readTail() {
	js, conn, q := n.sim.js, n.conn, n.machine.Question()
	tail := n.follows.Tail(testServer)
	n.ask(func(time.Time) func() {
		last := js.read(tail.Add)
		return func() {
			if conn != n.conn || n.follows == nil {
				return
			}
			n.last, n.tail = last, tail
			n.sim.why = n.follows.Check(tail)
			n.step(Event{Kind: Read, Answers: q, Seq: last, Exact: n.sim.why == nil, Empty: tail.Empty(), Short: tail.Short()})
		}
	})
}

func (n *node) begin(d Decision) {
	switch {
	case n.leads != nil && d == Publish && n.machine.phase == leading:
		return // it goes on: nobody has claimed
	case n.leads != nil && d == BeginEpoch:
		n.due = true
		return
	}
	n.next, n.firstOut, n.open = 0, false, ""
	if d == Publish {
		if err := n.takeOver(n.tail); err != nil {
			n.sim.fail("%v", err)
		}
		return
	}
	var gone []int
	l := n.follows.Begin(n.token(), n.tail, func(i int) { gone = append(gone, i) })
	if err := n.bridge.lead(l, gone); err != nil {
		n.sim.fail("%v", err)
	}
	n.gap, n.gapOut = d == BeginEpoch, false
	n.sim.begun(n, d)
}

func (n *node) token() string {
	n.sim.js.tokens++
	return fmt.Sprint("e", n.sim.js.tokens)
}

// rewind has what is in flight be sent again, in a new batch.
func (n *node) rewind() {
	n.flights, n.open, n.next, n.firstOut, n.gapOut, n.doubt = nil, "", 0, false, false, true
}
