package standby

import "time"

const (
	// turnPause is between two bridges that would claim: one swap wins, and the others
	// need not have tried.
	turnPause = 500 * time.Millisecond
	// coldPause is how much longer one waits who is not in sync: its claim is a Gap.
	coldPause = 2 * time.Second
	// syncPause is how much longer it waits while one that is in sync stands by: that may
	// be about to claim, and the stream slow to let it.
	syncPause = 10 * time.Second
	// endPause and endSpan are how often, and for how long after a claim, the batches
	// of the leaders before are ended: a batch lives ten seconds (streamMaxBatchTimeout),
	// and a change of the stream's leader opens one again.
	endPause = 250 * time.Millisecond
	endSpan  = 12 * time.Second
	// renewAfter is the age at which a term is written anew, before it is a minute old,
	// so that neither the stream's age nor its bytes take it away.
	renewAfter = 45 * time.Second
	// askPause is between two questions or claims that came to nothing.
	askPause = 250 * time.Millisecond
	// shortPatience is for how long after a claim the stream is read again that lacks what it had
	// acknowledged: each reading comes to any replica, and one may be behind.
	shortPatience = 2 * time.Second
	// yieldPatience is how long one who yields waits for the claim.
	yieldPatience = time.Second
)

type phase uint8

const (
	standing phase = iota
	asking         // for the term, to claim behind it
	claiming       // the claim is on its way
	barring        // the same term again, behind what the leader before had proposed
	reading
	first // the first event is on its way
	leading
	draining
	yielding
)

// Leading is one server's leadership as one bridge has it: a state machine that is fed
// with what happens and says what to do. Liveness is its part, safety the stream's: at
// worst a claim is needless, and its cost a hand-over.
type Leading struct {
	server, node, incarnation string
	silence                   time.Duration

	phase         phase
	led           bool   // it was the leader when it asked
	term          uint64 // the highest that was heard, seen or written
	fence         uint64 // sequence of the record that is known; 0: none
	record        Term   // of this bridge's claim
	reason        string // of the claim
	lastHeartbeat time.Time
	asked         time.Time // when the phase last did something
	claimed       time.Time
	ended         time.Time // when batches were ended last
	renewed       time.Time
	renewing      bool
	lost          bool // the session that was published ended, and no epoch has begun for the next
	lostAt        time.Time
	down          time.Time // since when there is no session; or zero
	yielded       time.Time
	kept          time.Time // when nobody had claimed what it yielded
	keeps         int       // how often in a row
	unable        time.Time // since when it cannot do all that a leader does; or zero
	refused       bool      // nobody has claimed what it yielded
	heir          string
	undrained     bool // it yields, or did, with something in flight
	unheard       unheard
	news          bool // the record that was seen is of a claim that was not known
	question      uint64
	open          bool // the question is of the record, and has no answer yet
	again         bool // the tail is read again, when the session may be caught up
	out           []Decision
}

// NewLeading returns the machine of a server. It claims after silence at the earliest.
func NewLeading(server, node, incarnation string, silence time.Duration, now time.Time) *Leading {
	return &Leading{server: server, node: node, incarnation: incarnation, silence: silence, lastHeartbeat: now}
}

// Leads reports whether this bridge answers Actions and publishes the server.
func (l *Leading) Leads() bool { return l.phase >= first }

// Stands reports whether this bridge neither leads the server nor claims it.
func (l *Leading) Stands() bool { return l.phase == standing }

// Publishes reports whether events may be sent now.
func (l *Leading) Publishes() bool { return l.phase == first || l.phase == leading }

// Begins reports whether a batch may begin: not while the term is being renewed, for its
// fence is another then.
func (l *Leading) Begins() bool { return l.Publishes() && !l.renewing }

// Waits reports whether this bridge stands by for a leader that is not silent: nothing of a
// View matters then but Session and InSync.
func (l *Leading) Waits(now time.Time) bool {
	return l.phase == standing && now.Sub(l.lastHeartbeat) < l.silence
}

// Term returns the highest term that is known.
func (l *Leading) Term() uint64 { return l.term }

// Fence returns the sequence that the next write of the term, and the first event of the
// next batch, expect on the term's subject.
func (l *Leading) Fence() uint64 { return l.fence }

// Record returns the record to be written.
func (l *Leading) Record() *Term { r := l.record; return &r }

// Question returns the number of the last question: of AskTerm, WriteTerm or ReadTail, of
// which a Step asks one at most. Its answer has the number, for one that comes after the
// next question was asked is none to that.
func (l *Leading) Question() uint64 { return l.question }

// Asks reports whether a question for the record has no answer yet.
func (l *Leading) Asks() bool { return l.open }

// Heir returns who shall claim, while this bridge yields.
func (l *Leading) Heir() string {
	if l.phase == yielding {
		return l.heir
	}
	return ""
}

// Undrained reports whether this bridge yields though something is in flight: that may be stored
// late.
func (l *Leading) Undrained() bool { return l.phase == yielding && l.undrained }

// Step takes in an event and returns what to do, in order. The slice is valid until the
// next Step.
func (l *Leading) Step(now time.Time, v View, e Event) []Decision {
	l.out = l.out[:0]
	if e.Answers != 0 && e.Answers != l.question {
		return nil
	}
	if e.Answers != 0 {
		l.open = false
	}
	if l.phase != standing && l.superseded(e) {
		l.led = l.led || l.phase >= first
		l.note(now, e)
		l.stand(now)
		return l.out
	}
	l.note(now, e)
	switch e.Kind {
	case Disconnected:
		l.onDisconnected(now)
	case SessionLost:
		l.lost, l.lostAt = l.phase > standing, now
	case Handover:
		l.onHandover(now, v, e.To)
	}
	switch l.phase {
	case standing:
		l.stepStanding(now, v, e)
	case asking, claiming, barring, reading:
		l.stepClaim(now, v, e)
	case first, leading:
		l.stepLeading(now, v, e)
	case draining, yielding:
		l.stepYielding(now, v, e)
	}
	return l.out
}

func (l *Leading) do(all ...Decision) {
	for _, d := range all {
		if d == AskTerm || d == WriteTerm || d == ReadTail {
			l.question++
			l.open = d == AskTerm
		}
		l.out = append(l.out, d)
	}
}

// mine reports whether the record is of this bridge's claim.
func (l *Leading) mine(t *Term) bool {
	return t != nil && t.Node == l.node && t.Incarnation == l.incarnation && t.Term == l.record.Term
}

// superseded reports whether somebody else has the term. The record in the stream is
// the truth; a Heartbeat of a higher term comes from one who has written it.
func (l *Leading) superseded(e Event) bool {
	switch {
	case e.Kind == SawHeartbeat && e.Leader.Node != l.node && l.phase == claiming:
		return e.Leader.Mark.Term >= l.record.Term
	case e.Kind == SawHeartbeat && e.Leader.Node != l.node && l.phase == asking && l.reason == start:
		return e.Leader.Mark.Term >= l.term
	case e.Kind == SawHeartbeat && e.Leader.Node != l.node:
		return e.Leader.Mark.Term > l.term
	case e.Kind == SawTerm && e.Term != nil && l.phase > asking:
		return !l.mine(e.Term) && e.Seq > l.fence
	}
	return false
}

// note keeps what an event says of terms and of their leaders.
func (l *Leading) note(now time.Time, e Event) {
	switch e.Kind {
	case SawHeartbeat:
		if e.Leader.Mark.Term < l.term || e.Leader.Node == l.node {
			return
		}
		l.term, l.unheard = e.Leader.Mark.Term, unheard{}
		if e.Leader.At.After(l.lastHeartbeat) {
			l.lastHeartbeat = e.Leader.At
		}
	case SawTerm:
		l.noteTerm(now, e)
	case Wrote:
		l.fence = e.Seq
		l.term = max(l.term, l.record.Term)
		l.unheard = unheard{losses: l.unheard.losses}
	}
}

func (l *Leading) noteTerm(now time.Time, e Event) {
	l.news = false
	switch {
	case l.phase > asking && e.Seq <= l.fence && e.Term != nil:
		return // it was read before the last write
	case e.Term == nil:
		l.fence = e.Seq
		return
	}
	if l.news = l.term > 0 && e.Term.Term > l.term && !l.mine(e.Term); l.news {
		l.lastHeartbeat = now
		l.noteUnheard(now, e)
	} else if l.term == 0 && e.Term.Node != l.node {
		l.noteUnheard(now, e) // it may be alive, and have led since before this bridge listened
	} else if e.Term.Term == l.unheard.term {
		l.noteLife(now, e)
	}
	l.term, l.fence = max(l.term, e.Term.Term), e.Seq
}

// stand gives the lead up, or the claim.
func (l *Leading) stand(now time.Time) {
	l.phase, l.led, l.lastHeartbeat, l.renewing, l.heir, l.lost, l.refused = standing, false, now, false, "", false, false
	l.unable, l.keeps = time.Time{}, 0
	l.do(Hold)
}

func (l *Leading) onDisconnected(now time.Time) {
	l.lastHeartbeat = now // who hears nobody is not the one to say who is silent
	l.open = false        // the answer may have gone with the connection
	if l.phase > standing && l.phase < first {
		l.phase, l.asked = asking, now
	}
}

func (l *Leading) stepStanding(now time.Time, v View, e Event) {
	if !v.Session {
		return
	}
	if e.Kind == SawHeartbeat && e.Leader.Yields == l.node && e.Leader.Mark.Term >= l.term && v.InSync {
		l.ask(now, "yield")
		return
	}
	wait := l.silence + time.Duration(v.Turn)*turnPause
	if !v.InSync {
		wait += coldPause
		if v.HeirSync && v.HeirUnable != Mute {
			wait += syncPause
		}
		if !v.Fresh {
			return // what it is to read yet may be stored already
		}
	}
	if v.Slow {
		wait += (slowPatience - 1) * l.silence
	}
	if v.Unable == Mute && v.Turn > 0 { // else nobody can do more
		wait += mutePause
	}
	if e.Kind == Tick && now.Sub(l.lastHeartbeat) >= wait && now.Sub(l.asked) >= max(askPause, l.patience()/4) {
		reason := "silence"
		if l.term == 0 {
			reason = start
		}
		l.ask(now, reason)
	}
}

func (l *Leading) stepLeading(now time.Time, v View, e Event) {
	l.watchSession(now, v)
	switch {
	case e.Kind == Refused:
		l.claimAnew(now, "fence")
		return
	case e.Kind == SawTerm && e.Term == nil:
		l.claimAnew(now, "purged")
		return
	case e.Kind == FirstStored && l.phase == first:
		l.phase = leading
	case e.Kind == Wrote:
		l.renewed, l.renewing = now, false
	case e.Kind == Failed && l.renewing:
		l.renewing = false
		l.renewed = now.Add(askPause - renewAfter)
	case e.Kind == Look && !l.renewing && !l.open:
		l.do(AskTerm)
	case e.Kind == Tick && !l.renewing && now.Sub(l.renewed) >= renewEvery(v):
		l.renewing = true
		l.do(WriteTerm)
	}
	l.endBatches(now, e)
	if l.lost {
		l.onLost(now, v)
	}
	l.onUnable(now, v)
}

// onLost yields to one that is in sync at once, and goes on with its own next session
// if none has said for as long as a silence that it is: that is a Gap. Without a session
// it leaves the lead to those who have one.
func (l *Leading) onLost(now time.Time, v View) {
	switch {
	case v.HeirSync && !l.refused:
		l.drain(now, v.Successor)
	case v.Session && now.Sub(l.lostAt) >= l.silence:
		l.lost, l.refused = false, false
		l.do(BeginEpoch)
	case !v.Session && v.Successor != "" && now.Sub(l.down) >= l.silence+coldPause:
		l.drain(now, "")
	}
}

// onHandover yields to whom it is told, or to the Successor if that is in sync. Whoever did not claim is
// not told to again and again: each time nothing is published for a while.
func (l *Leading) onHandover(now time.Time, v View, to string) {
	if to != "" && l.keeps > 0 && now.Sub(l.kept) < keptPause<<min(l.keeps-1, mostKeeps) {
		return
	}
	if to == "" && v.HeirSync {
		to = v.Successor
	}
	if l.Publishes() && to != "" && to != l.node {
		l.drain(now, to)
	}
}

// watchSession notes since when there is no session.
func (l *Leading) watchSession(now time.Time, v View) {
	switch {
	case v.Session:
		l.down = time.Time{}
	case l.down.IsZero():
		l.down = now
	}
}

// drain begins to yield, to nobody in particular if to is empty. A term that is being
// written, or a first event, is waited for with what else is in flight.
func (l *Leading) drain(now time.Time, to string) {
	l.phase, l.heir, l.asked = draining, to, now
	l.do(Drain)
}

// yield has the heir claim.
func (l *Leading) yield(now time.Time, undrained bool) {
	l.phase, l.yielded, l.undrained = yielding, now, undrained
	l.do(Yield)
}

func (l *Leading) stepYielding(now time.Time, v View, e Event) {
	l.watchSession(now, v)
	switch {
	case e.Kind == Refused:
		l.claimAnew(now, "fence")
	case e.Kind == Wrote:
		l.renewed, l.renewing = now, false
	case l.phase == draining && (e.Kind == Drained || e.Kind == Tick && now.Sub(l.asked) >= yieldPatience):
		if l.heir == "" {
			l.stand(now)
			return
		}
		l.yield(now, e.Kind != Drained)
	case l.phase == yielding && e.Kind == Tick && now.Sub(l.yielded) >= yieldPatience:
		l.phase, l.heir, l.refused, l.kept = leading, "", true, now
		l.keeps++
		l.do(Publish)
	}
}
