package standby

import (
	"slices"
	"testing"
	"time"
)

// script is one machine and a clock.
type script struct {
	t    *testing.T
	l    *Leading
	now  time.Time
	view View
}

func newScript(t *testing.T) *script {
	now := time.Unix(100, 0)
	return &script{t: t, l: NewLeading("pbx1", "b1", "i1", time.Second, now), now: now, view: View{Session: true, Fresh: true}}
}

// on has the machine take in e, and wants it to do just this.
func (s *script) on(e Event, want ...Decision) {
	s.t.Helper()
	switch e.Kind {
	case SawTerm, Wrote, Failed, Read:
		if e.Answers == 0 {
			e.Answers = s.l.Question()
		}
	}
	if got := s.l.Step(s.now, s.view, e); !slices.Equal(got, want) {
		s.t.Fatalf("at %v on %+v it does %v, want %v", s.now.Sub(time.Unix(100, 0)), e, got, want)
	}
}

// until passes time, with ticks, until the machine does something. It returns what and
// after how long.
func (s *script) until(most time.Duration) ([]Decision, time.Duration) {
	start := s.now
	for s.now.Sub(start) < most {
		s.now = s.now.Add(50 * time.Millisecond)
		got := s.l.Step(s.now, s.view, Event{Kind: Tick})
		if got = slices.DeleteFunc(slices.Clone(got), func(d Decision) bool { return d == EndBatches }); len(got) > 0 {
			return got, s.now.Sub(start)
		}
	}
	return nil, most
}

// wait wants the machine to do nothing until after so long, and then this.
func (s *script) wait(after time.Duration, want ...Decision) {
	s.t.Helper()
	if got, d := s.until(time.Hour); !slices.Equal(got, want) || d < after || d > after+60*time.Millisecond {
		s.t.Fatalf("after %v it does %v, want %v after %v", d, got, want, after)
	}
}

func (s *script) heard(node string, term uint64, yields string) Event {
	return Event{Kind: SawHeartbeat, Leader: Leader{Node: node, Incarnation: "x", At: s.now, Mark: Mark{Term: term}, Yields: yields}}
}

func saw(node string, term, seq uint64) Event {
	if term == 0 {
		return Event{Kind: SawTerm}
	}
	return Event{Kind: SawTerm, Term: &Term{Server: "pbx1", Node: node, Incarnation: map[bool]string{true: "i1", false: "x"}[node == "b1"], Term: term}, Seq: seq}
}

// lead has the machine claim behind a record that was seen, and lead.
func (s *script) lead(seen Event, exact Decision) {
	s.t.Helper()
	s.on(seen, WriteTerm)
	s.on(Event{Kind: Wrote, Seq: s.l.Fence() + 10}, EndBatches, WriteTerm)
	s.on(Event{Kind: Wrote, Seq: s.l.Fence() + 1}, ReadTail)
	s.on(Event{Kind: Read, Exact: exact == Publish, Empty: exact == BeginFirst}, exact)
	s.on(Event{Kind: FirstStored})
	if !s.l.Leads() || !s.l.Publishes() {
		s.t.Fatal("it does not lead")
	}
}

func newLeader(t *testing.T) *script {
	s := newScript(t)
	s.view.InSync = true
	s.on(s.heard("b2", 4, ""))
	s.wait(time.Second, AskTerm)
	s.lead(saw("b2", 4, 50), Publish)
	return s
}

func TestLeading_TakesOverAfterASilenceAndItsTurn(t *testing.T) {
	for turn := range 3 {
		for inSync, more := range map[bool]time.Duration{true: 0, false: coldPause} {
			s := newScript(t)
			s.view.Turn, s.view.InSync = turn, inSync
			s.on(s.heard("b2", 4, ""))
			s.now = s.now.Add(700 * time.Millisecond)
			s.on(s.heard("b2", 4, ""))
			s.wait(time.Second+time.Duration(turn)*turnPause+more, AskTerm)
		}
	}
}

func TestLeading_TheFirstOfAllBeginsWithoutAGap(t *testing.T) {
	s := newScript(t)
	s.wait(time.Second+coldPause, AskTerm)
	s.lead(saw("", 0, 0), BeginFirst)
	if r := s.l.Record(); r.Term != 1 || r.Reason != "start" || s.l.Term() != 1 {
		t.Errorf("%+v", r)
	}
}

func TestLeading_WithoutAnExactTailAnEpochBegins(t *testing.T) {
	s := newScript(t)
	s.on(s.heard("b2", 4, ""))
	s.wait(time.Second+coldPause, AskTerm)
	s.lead(saw("b2", 4, 50), BeginEpoch)
	if r := s.l.Record(); r.Term != 5 || r.Reason != "silence" {
		t.Errorf("%+v", r)
	}
}

// Where most others are silent at once it takes its time.
func TestLeading_WaitsLongerWhereMostAreSilent(t *testing.T) {
	s := newScript(t)
	s.view.InSync, s.view.Slow = true, true
	s.on(s.heard("b2", 4, ""))
	s.wait(slowPatience*time.Second, AskTerm)
}

// A stream that is slow to answer is claimed on: no question is asked before the last has
// its answer.
func TestLeading_ClaimsOnAStreamThatIsSlow(t *testing.T) {
	s := newScript(t)
	s.wait(time.Second+coldPause, AskTerm)
	slowly := func() {
		t.Helper()
		if got, _ := s.until(20 * askPause); got != nil {
			t.Fatalf("it does %v while its question is open", got)
		}
	}
	slowly()
	s.on(Event{Kind: Failed})
	s.wait(askPause, AskTerm)
	slowly()
	s.on(saw("", 0, 0), WriteTerm)
	slowly()
	s.on(Event{Kind: Refused})
	s.wait(askPause, AskTerm)
	s.on(Event{Kind: Disconnected})
	s.wait(askPause, AskTerm) // the answer may have gone with the connection
	slowly()
	s.lead(saw("", 0, 0), BeginFirst)
}

// Of two that claim the swap of one wins, and the other stands by.
func TestLeading_WhoLosesTheSwapStandsBy(t *testing.T) {
	s := newScript(t)
	s.view.InSync = true
	s.on(s.heard("b2", 4, ""))
	s.wait(time.Second, AskTerm)
	s.on(saw("b2", 4, 50), WriteTerm)
	s.on(Event{Kind: Refused})
	s.wait(askPause, AskTerm)
	s.on(saw("b3", 5, 60), Hold)
	if s.l.Leads() || s.l.Term() != 5 {
		t.Errorf("term %d", s.l.Term())
	}
	s.wait(time.Second, AskTerm) // b3 is silent, too
}

// Somebody has claimed between the silence and the look at the record.
func TestLeading_DoesNotClaimBehindAClaimThatIsNews(t *testing.T) {
	s := newScript(t)
	s.view.InSync = true
	s.on(s.heard("b2", 4, ""))
	s.wait(time.Second, AskTerm)
	s.on(saw("b3", 5, 60), Hold)
}

// An answer that was lost is not taken for either: the record tells.
func TestLeading_ClaimOfUnknownOutcomeIsLookedAt(t *testing.T) {
	s := newScript(t)
	s.view.InSync = true
	s.on(s.heard("b2", 4, ""))
	s.wait(time.Second, AskTerm)
	s.on(saw("b2", 4, 50), WriteTerm)
	s.on(Event{Kind: Failed})
	s.wait(askPause, AskTerm)
	s.lead(saw("b1", 5, 60), Publish) // it was stored: it claims behind itself
	if s.l.Term() != 6 {
		t.Errorf("term %d", s.l.Term())
	}
}

// An answer to the question before is none to this one.
func TestLeading_IgnoresLateAnswers(t *testing.T) {
	s := newScript(t)
	s.view.InSync = true
	s.on(s.heard("b2", 4, ""))
	s.wait(time.Second, AskTerm)
	s.on(saw("b2", 4, 50), WriteTerm)
	claim := s.l.Question()
	s.on(Event{Kind: Disconnected})
	s.wait(askPause, AskTerm)
	s.on(Event{Kind: Wrote, Answers: claim, Seq: 60})
	s.on(saw("", 0, 0), WriteTerm)
	s.on(Event{Kind: Wrote, Answers: claim, Seq: 60})
	s.on(Event{Kind: Wrote, Answers: s.l.Question(), Seq: 1}, EndBatches, WriteTerm)
	s.on(Event{Kind: Wrote, Answers: s.l.Question(), Seq: 2}, ReadTail)
	tail := s.l.Question()
	s.on(Event{Kind: Failed, Answers: claim})
	s.on(Event{Kind: Disconnected})
	s.wait(askPause, AskTerm)
	s.on(Event{Kind: Read, Answers: tail, Exact: true})
	if s.l.Leads() {
		t.Error("it leads by a tail that was read before")
	}
}

// A fence that is refused, be it 10071 or 10164, and a record that is gone, be it with the stream,
// end in a new claim.
func TestLeading_ClaimsAnew(t *testing.T) {
	for name, e := range map[string]Event{"refused": {Kind: Refused}, "purged": {Kind: SawTerm}} {
		for _, soon := range []bool{false, true} {
			s := newLeader(t)
			if soon {
				s.on(e, Hold) // not in a hot loop
				s.wait(askPause, AskTerm)
			} else {
				s.now = s.now.Add(time.Second)
				s.on(e, Hold, AskTerm)
			}
			if s.l.Leads() {
				t.Errorf("%s: it leads meanwhile", name)
			}
			seen := saw("b1", 5, s.l.Fence())
			if name != "refused" {
				seen = saw("", 0, 0)
			}
			s.lead(seen, Publish)
			if s.l.Term() != 6 {
				t.Errorf("%s: term %d", name, s.l.Term())
			}
		}
	}
}

// A record that nobody can read is no reason to stop: it is claimed behind that.
func TestLeading_ClaimsBehindARecordThatIsNone(t *testing.T) {
	s := newLeader(t)
	s.now = s.now.Add(time.Second)
	s.on(Event{Kind: Refused}, Hold, AskTerm)
	nonsense := Event{Kind: SawTerm, Seq: s.l.Fence() + 100}
	s.lead(nonsense, Publish)
	if s.l.Term() != 6 || s.l.Fence() != nonsense.Seq+11 {
		t.Errorf("term %d behind %d", s.l.Term(), s.l.Fence())
	}
}

// A leader that hears or sees a successor stands by at once.
func TestLeading_StandsByForItsSuccessor(t *testing.T) {
	for _, e := range []func(s *script) Event{
		func(s *script) Event { return s.heard("b2", 6, "") },
		func(s *script) Event { return saw("b2", 6, s.l.Fence()+1) },
	} {
		s := newLeader(t)
		s.on(e(s), Hold)
		if s.l.Leads() || s.l.Term() != 6 {
			t.Errorf("term %d", s.l.Term())
		}
		s.view.InSync = true
		s.wait(time.Second, AskTerm)
	}
	s := newLeader(t)
	s.on(s.heard("b2", 4, ""))        // the one before is still on its way
	s.on(saw("b2", 4, 50))            // and so is its record
	s.on(s.heard("b1", 9, ""))        // its own echo
	s.on(saw("b1", 5, s.l.Fence()))   // its own record
	s.on(saw("b1", 5, s.l.Fence()-1)) // and the claim before the barrier
}

// The term is renewed before it is a minute old; no batch begins meanwhile.
func TestLeading_RenewsItsTerm(t *testing.T) {
	s := newLeader(t)
	for range 3 {
		got, after := s.until(time.Hour)
		if !slices.Equal(got, []Decision{WriteTerm}) || after > time.Minute || after < 30*time.Second {
			t.Fatalf("%v after %v", got, after)
		}
		if s.l.Begins() || !s.l.Publishes() {
			t.Error("a batch begins behind a fence that is about to change")
		}
		fence := s.l.Fence()
		s.on(Event{Kind: Wrote, Seq: fence + 1000})
		if s.l.Fence() != fence+1000 || !s.l.Begins() || s.l.Term() != 5 {
			t.Errorf("fence %d, term %d", s.l.Fence(), s.l.Term())
		}
	}
	s.until(time.Hour)
	s.on(Event{Kind: Failed})
	s.wait(askPause, WriteTerm)
}

// Batches of the leaders before are ended for as long as one may live.
func TestLeading_EndsOldBatchesForTwelveSeconds(t *testing.T) {
	s := newLeader(t)
	ends := 0
	start := s.now
	var last time.Time
	for s.now.Sub(start) < 20*time.Second {
		s.now = s.now.Add(50 * time.Millisecond)
		if slices.Contains(s.l.Step(s.now, s.view, Event{Kind: Tick}), EndBatches) {
			ends++
			last = s.now
		}
	}
	if ends < 44 || last.Sub(start) < 11*time.Second || last.Sub(start) > endSpan {
		t.Errorf("%d times, last after %v", ends, last.Sub(start))
	}
}

// A leader whose session is lost yields to one that is in sync: no Gap. It goes on
// with its next session when there is none: a Gap. Without a session it leaves.
func TestLeading_ALostSession(t *testing.T) {
	s := newLeader(t)
	s.view.Session, s.view.Successor, s.view.HeirSync = false, "b2", true
	s.on(Event{Kind: SessionLost}, Drain)
	if s.l.Heir() != "" || s.l.Publishes() || !s.l.Leads() {
		t.Error("it yields before all is stored, or sends more")
	}
	s.on(Event{Kind: Drained}, Yield)
	if s.l.Heir() != "b2" {
		t.Error(s.l.Heir())
	}
	s.on(s.heard("b2", 6, ""), Hold)

	s = newLeader(t) // the heir does not claim
	s.view.Successor, s.view.HeirSync = "b2", true
	s.on(Event{Kind: SessionLost}, Drain)
	s.on(Event{Kind: Drained}, Yield)
	s.wait(yieldPatience, Publish)
	s.wait(0, BeginEpoch) // its next session is up

	s = newLeader(t) // its fence is refused as well
	s.now = s.now.Add(time.Second)
	s.view.Successor, s.view.HeirSync, s.view.InSync = "b2", true, false
	s.on(Event{Kind: SessionLost}, Drain)
	s.on(Event{Kind: Refused}, Hold, AskTerm)
	s.on(saw("b1", 5, s.l.Fence()), Hold)
	s.wait(time.Second+coldPause+syncPause, AskTerm) // unless b2 has claimed
	s.lead(saw("b1", 5, s.l.Fence()), BeginEpoch)

	s = newLeader(t) // nobody is in sync
	s.view.Session = false
	s.on(Event{Kind: SessionLost})
	s.now = s.now.Add(200 * time.Millisecond)
	s.on(Event{Kind: Tick})
	s.view.Session = true
	s.wait(800*time.Millisecond, BeginEpoch) // somebody may be by the next Heartbeat
	s.on(Event{Kind: Tick})

	s = newLeader(t) // nobody is in sync, and its own session is back at once
	s.view.Session, s.view.Successor = false, "b2"
	s.on(Event{Kind: SessionLost})
	s.view.Session = true
	s.on(Event{Kind: Tick})
	s.wait(time.Second-50*time.Millisecond, BeginEpoch)

	s = newLeader(t) // nobody is in sync, and its own session does not come back
	s.view.Session, s.view.Successor = false, "b2"
	s.on(Event{Kind: SessionLost})
	s.wait(time.Second+coldPause, Drain)
	s.on(Event{Kind: Drained}, Hold)
	if s.l.Leads() {
		t.Error("it leads without a session")
	}
	if got, _ := s.until(time.Minute); got != nil {
		t.Errorf("without a session it does %v", got)
	}
}

func TestLeading_HandsOver(t *testing.T) {
	s := newLeader(t)
	s.on(Event{Kind: Handover}) // to nobody
	s.view.Successor = "b2"
	s.on(Event{Kind: Handover}) // who is not in sync
	s.on(Event{Kind: Handover, To: "b1"})
	s.view.HeirSync = true
	s.on(Event{Kind: Handover}, Drain)
	s.on(Event{Kind: Handover}) // it is at it
	s.wait(yieldPatience, Yield)
	s.on(s.heard("b2", 6, ""), Hold)

	// And the heir claims at once, if it is in sync.
	s = newScript(t)
	s.on(s.heard("b2", 4, "b1"))
	s.view.InSync = true
	s.on(s.heard("b2", 3, "b1")) // of a term that is over
	s.on(s.heard("b2", 4, "b3"))
	s.on(s.heard("b2", 4, "b1"), AskTerm)
	s.lead(saw("b2", 4, 50), Publish)
	if s.l.Record().Reason != "yield" {
		t.Error(s.l.Record().Reason)
	}
}

// A lead that is offered and not taken is offered again only after a wait that grows: while it is, nothing is
// published. One that ends offers it as often as there is somebody in sync.
func TestLeading_AnOfferThatNobodyTakesIsNotRepeatedAtOnce(t *testing.T) {
	s := newLeader(t)
	offer := func() {
		t.Helper()
		s.on(Event{Kind: Handover, To: "b2"}, Drain)
		s.on(Event{Kind: Drained}, Yield)
		s.wait(yieldPatience, Publish)
	}
	offer()
	for _, pause := range []time.Duration{keptPause, 2 * keptPause, 4 * keptPause} {
		s.now = s.now.Add(pause - time.Millisecond)
		s.on(Event{Kind: Handover, To: "b2"})
		s.now = s.now.Add(time.Millisecond)
		offer()
	}
	s.view.Successor, s.view.HeirSync = "b2", true
	s.on(Event{Kind: Handover}, Drain)
}

// Who is cut off from NATS hears nobody, and says nothing of who is silent.
func TestLeading_WaitsAnewAfterADisconnect(t *testing.T) {
	s := newScript(t)
	s.view.InSync = true
	s.on(s.heard("b2", 4, ""))
	s.now = s.now.Add(900 * time.Millisecond)
	s.on(Event{Kind: Disconnected})
	s.wait(time.Second, AskTerm)
	s.on(saw("b2", 4, 50), WriteTerm)
	s.on(Event{Kind: Disconnected})
	s.wait(askPause, AskTerm)
}
