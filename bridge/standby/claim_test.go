package standby

import (
	"testing"
	"time"
)

// Who is not in sync and may be behind what is stored does not claim.
func TestLeading_ClaimsColdOnlyWhenItIsNotBehind(t *testing.T) {
	s := newScript(t)
	s.view.Fresh = false
	if got, _ := s.until(time.Minute); got != nil {
		t.Errorf("%v", got)
	}
	s.view.Fresh = true
	s.wait(0, AskTerm)
	s.view.Fresh = false
	s.on(saw("b2", 4, 50), Hold)

	s = newScript(t) // it was in sync when it claimed
	s.view.InSync = true
	s.on(s.heard("b2", 4, ""))
	s.wait(time.Second, AskTerm)
	s.on(saw("b2", 4, 50), WriteTerm)
	s.view.InSync, s.view.Fresh = false, false
	s.on(Event{Kind: Wrote, Seq: 60}, EndBatches, WriteTerm)
	s.on(Event{Kind: Wrote, Seq: 61}, ReadTail)
	s.on(Event{Kind: Read})
	s.wait(askPause, ReadTail)
	s.view.Fresh = true
	s.on(Event{Kind: Read}, BeginEpoch)
}

// Without a session of its own nobody claims.
func TestLeading_ClaimsOnlyWithASession(t *testing.T) {
	s := newScript(t)
	s.view.Session = false
	if got, _ := s.until(time.Minute); got != nil {
		t.Errorf("%v", got)
	}
	s.on(s.heard("b2", 4, "b1"))
	s.view.Session = true
	s.wait(time.Second+coldPause, AskTerm)
	s.view.Session = false
	s.on(saw("b2", 4, 50), Hold)
}

func TestMayGoOn_IsTheLease(t *testing.T) {
	now := time.Unix(100, 0)
	for silence, lease := range map[time.Duration]time.Duration{
		500 * time.Millisecond: 400 * time.Millisecond, time.Second: 400 * time.Millisecond, 3 * time.Second: 1200 * time.Millisecond, time.Minute: 4 * time.Second,
	} {
		got := SendLease(silence)
		if got != lease || !MayGoOn(now.Add(time.Millisecond-lease), now, got) || MayGoOn(now.Add(-lease), now, got) {
			t.Errorf("with a silence of %v a batch goes on for %v after the newest acknowledged event was sent, want %v", silence, got, lease)
		}
	}
}

// However high the term is that somebody has written, a claim behind it can be written too.
func TestLeading_ClaimsBehindAnyTermThatIsRead(t *testing.T) {
	for _, term := range []uint64{maxTerm - 1, maxTerm} {
		s := newScript(t)
		s.wait(time.Second+coldPause, AskTerm)
		s.on(saw("b1", term, 50), WriteTerm)
		if _, err := s.l.Record().Encode(); err != nil {
			t.Errorf("behind term %d: %v", term, err)
		}
	}
}

// Somebody has claimed behind this bridge's claim, before it has read the stream, and what it reads
// is of that one. The first event is sent behind the last that was read, and behind no record: it
// would be stored, and be a hole in the other's numbering or an event twice.
func TestLeading_ReadsWhatAnotherHasStoredSinceItsClaim(t *testing.T) {
	for _, exact := range []bool{true, false} {
		s := newScript(t)
		s.view.InSync = true
		s.on(s.heard("b2", 4, ""))
		s.wait(time.Second, AskTerm)
		s.on(saw("b2", 4, 50), WriteTerm)
		s.on(Event{Kind: Wrote, Seq: 60}, EndBatches, WriteTerm)
		s.on(Event{Kind: Wrote, Seq: 61}, ReadTail)
		s.on(Event{Kind: Read, Exact: exact, Seq: 64})
		s.wait(askPause, AskTerm)
		s.on(saw("b3", 6, 62), Hold)
	}
}

// What is read may lack what the stream had acknowledged, for a replica may be behind. It is read again,
// and counts in the end: the stream may have lost it. Who is not in sync has a Gap to tell in any case.
func TestLeading_ReadsAgainWhatEndsTooSoon(t *testing.T) {
	for inSync, wait := range map[bool]time.Duration{true: time.Second, false: time.Second + coldPause} {
		s := newScript(t)
		s.view.InSync, s.view.Fresh = inSync, true
		s.on(s.heard("b2", 4, ""))
		s.wait(wait, AskTerm)
		s.on(saw("b2", 4, 50), WriteTerm)
		s.on(Event{Kind: Wrote, Seq: 60}, EndBatches, WriteTerm)
		s.on(Event{Kind: Wrote, Seq: 61}, ReadTail)
		began, reads := s.now, 0
		for ; inSync && s.now.Sub(began) < shortPatience; reads++ {
			s.on(Event{Kind: Read, Short: true, Seq: 40})
			s.now = s.now.Add(askPause)
			s.on(Event{Kind: Tick}, ReadTail, EndBatches)
		}
		s.on(Event{Kind: Read, Short: true, Seq: 40}, BeginEpoch)
		if inSync && reads < 4 {
			t.Errorf("it is read again %d times", reads)
		}
	}
}

// Who has claimed and cannot read the stream reads it again, and claims no more: behind each claim others
// would stand by for one that never leads, be they as able as can be.
func TestLeading_WhoCannotReadDoesNotClaimAgain(t *testing.T) {
	s := newScript(t)
	s.view.InSync = true
	s.on(s.heard("b2", 4, "b1"), AskTerm)
	s.on(saw("b2", 4, 50), WriteTerm)
	s.on(Event{Kind: Wrote, Seq: 60}, EndBatches, WriteTerm)
	s.on(Event{Kind: Wrote, Seq: 61}, ReadTail)
	for range 20 {
		s.on(Event{Kind: Failed})
		s.wait(askPause, ReadTail)
	}
	s.on(s.heard("b2", 6, ""), Hold)
}
