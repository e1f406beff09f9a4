package outbox

import (
	"slices"
	"testing"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/standby"
)

// ask has the standby ask the leader how far it has read, and both have a Pong of what was
// raised until now.
func (s *shared) ask(b *sharer, probe uint64) {
	probe = b.Probe(probe)
	s.now = s.now.Add(time.Second)
	epoch, n, ok := s.leader.ReadUpTo()
	s.beat(0)
	if ok {
		b.Answer(epoch, probe, n)
	}
	s.now = s.now.Add(time.Millisecond)
	b.Pong(s.now)
}

// A standby of a server that says nothing, or the same over and over, takes over exactly.
func TestShare_JoinsWhereEventsAreAllAlike(t *testing.T) {
	s := newShared(t)
	b := s.all[1]
	for range 40 {
		s.raised = append(s.raised, "alike")
	}
	s.reads(s.leader, 30) // the standby has begun later
	b.read = 25
	s.sends(20, 10)
	s.reads(s.leader, 99)
	s.reads(b, 99)
	for probe := range uint64(10) {
		s.sends(1<<20, 1<<20)
		s.ask(b, probe+1)
	}
	if how := b.Shared(0); how.State != standby.InSync {
		t.Fatalf("%v %s", how.State, how.Reason)
	}
	for range 9 {
		s.raised = append(s.raised, "alike")
	}
	s.reads(s.leader, 9)
	s.sends(4, 2)
	s.reads(b, 7)
	if err := s.lead(b); err != nil {
		t.Fatal(err)
	}
	s.reads(b, 99)
	s.sends(99, 99)
	if n := len(s.stream); n != len(s.raised) || slices.ContainsFunc(s.stream, func(m sentID) bool { return m.gap }) {
		t.Errorf("%d are stored of %d: %+v", n, len(s.raised), s.stream)
	}
}

// How far a leader has read is not known where a Gap waits, or a session has ended: the
// numbers behind are of another epoch.
func TestShare_ReadUpToKnowsItsEpoch(t *testing.T) {
	s := newShared(t)
	s.raise(30)
	s.reads(s.leader, 30)
	s.sends(20, 10)
	if epoch, n, ok := s.leader.ReadUpTo(); !ok || epoch != "e1" || n != 30 {
		t.Fatal(epoch, n, ok)
	}
	if _, _, ok := s.all[1].ReadUpTo(); ok {
		t.Error("a standby knows it")
	}
	s.leader.Restart()
	if _, _, ok := s.leader.ReadUpTo(); ok {
		t.Error("it is known behind a session that has ended")
	}
	s = newShared(t)
	s.raise(10)
	s.reads(s.leader, 10)
	s.leader.Refuse(Entry{Subject: "event", At: 1})
	if _, _, ok := s.leader.ReadUpTo(); ok {
		t.Error("it is known where a Gap waits")
	}
}

// Two sessions that have ended are two, though a full outbox has made one Gap of theirs: once
// that has begun an epoch a standby can ask how far the leader has read.
func TestShare_ReadUpToBehindTwoSessionsOfOneGap(t *testing.T) {
	s := newShared(t)
	s.leader.SetLimit(40_000) // of which a sixteenth goes at once
	for range 2 {
		s.raise(1)
		s.reads(s.leader, 1)
		s.leader.Restart()
		s.leader.PushGap("s", &Gap{Reason: "closed", Unknown: true})
	}
	s.raise(300)
	s.reads(s.leader, 300)
	s.leader.NextEpoch()
	for range 300 {
		s.sends(1, 1)
	}
	if _, _, ok := s.leader.ReadUpTo(); !ok {
		t.Error("it is not known")
	}
}
