package standby

import "time"

// start is the reason of a claim by a bridge that has heard of no term before.
const start = "start"

// ask asks for the record, to claim behind it: again until it is seen, an askPause after each
// answer. However long the answer takes, no question is asked before it: each would take the
// answer to the last for none, and a stream slower than askPause would never be claimed on.
func (l *Leading) ask(now time.Time, reason string) {
	l.askLater(now, reason)
	l.do(AskTerm)
}

// askLater is ask, but for the first askPause.
func (l *Leading) askLater(now time.Time, reason string) {
	l.phase, l.reason, l.asked, l.renewing = asking, reason, now, false
}

// claimAnew claims the server again for a bridge that leads it: its fence is gone, or
// was refused for a reason that does not say whether somebody else has claimed. After a
// claim that was just made it takes its time.
func (l *Leading) claimAnew(now time.Time, reason string) {
	l.led = l.led || l.phase >= first
	l.do(Hold)
	if now.Sub(l.claimed) >= askPause {
		l.ask(now, reason)
		return
	}
	l.askLater(now, reason)
}

func (l *Leading) stepClaim(now time.Time, v View, e Event) {
	switch {
	case l.phase == asking && !v.Session && !l.led, l.phase == asking && l.lost && v.HeirSync:
		l.stand(now) // its own claim would be a Gap
	case l.phase == asking && !v.InSync && !v.Fresh:
		l.stand(now) // see stepStanding
	case l.phase == reading && e.Kind == Failed:
		l.again, l.asked = true, now // a claim each time would keep those from the lead that can read
	case e.Kind == Failed, e.Kind == Refused:
		l.phase, l.asked = asking, now
	case l.phase == asking && e.Kind == Tick && !l.open && now.Sub(l.asked) >= askPause:
		l.ask(now, l.reason)
	case l.phase == asking && e.Kind == SawTerm && l.reason == start && l.unheard.losses == 0 && l.isLedUnheard(now, e.Term):
		l.asked = now // it shows within a silence whether that one stores events
	case l.phase == asking && e.Kind == SawTerm && (l.news || l.isLedUnheard(now, e.Term)):
		l.stand(now)
	case l.phase == asking && e.Kind == SawTerm:
		l.claim(now)
	case l.phase == claiming && e.Kind == Wrote:
		l.phase, l.claimed, l.ended, l.renewed = barring, now, now, now
		l.do(EndBatches, WriteTerm)
	case l.phase == barring && e.Kind == Wrote:
		l.phase, l.again = reading, false
		l.do(ReadTail)
	case l.phase == reading && e.Kind == Read && e.Seq > l.fence:
		// Somebody has claimed since, and has stored that. The first event is not refused
		// for the record's sake: a message has one fence, and its is the last event.
		l.phase, l.asked = asking, now
	case l.phase == reading && e.Kind == Read && !e.Exact && (!v.Fresh || e.Short && v.InSync && now.Sub(l.claimed) < shortPatience):
		l.again, l.asked = true, now
	case l.phase == reading && e.Kind == Tick && l.again && now.Sub(l.asked) >= askPause:
		l.again = false
		l.do(ReadTail)
	case l.phase == reading && e.Kind == Read:
		l.phase, l.led, l.lost = first, false, false
		l.do(l.beginning(e))
	}
	l.endBatches(now, e)
}

// claim claims behind the record that was seen. Behind the highest term it counts anew: who is
// the leader the stream knows by the record that is last.
func (l *Leading) claim(now time.Time) {
	l.record = Term{
		Server: l.server, Term: l.term%maxTerm + 1, Node: l.node, Incarnation: l.incarnation, Since: now.UTC(), Reason: l.reason,
	}
	l.phase = claiming
	l.do(WriteTerm)
}

// beginning is how to go on behind what the stream holds.
func (l *Leading) beginning(e Event) Decision {
	switch {
	case e.Exact:
		return Publish
	case e.Empty && l.term == 1:
		return BeginFirst
	}
	return BeginEpoch
}

func (l *Leading) endBatches(now time.Time, e Event) {
	if e.Kind == Tick && l.phase > claiming && now.Sub(l.claimed) < endSpan && now.Sub(l.ended) >= endPause {
		l.ended = now
		l.do(EndBatches)
	}
}
