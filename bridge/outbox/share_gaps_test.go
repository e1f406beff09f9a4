package outbox

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/standby"
)

// The Gap of a session's end comes with the first event of the next, which may be long after: by then this
// bridge leads, behind what it has taken over. It is none of a session that it has led by, and holds up nothing.
func TestShare_TheGapOfASessionThatEndedBefore(t *testing.T) {
	closed := func() *Gap { return &Gap{Reason: "closed", Unknown: true} }
	t.Run("of a standby", func(t *testing.T) {
		s := newShared(t)
		b := s.all[1]
		b.Restart()
		s.sync()
		if err := s.lead(b); err != nil {
			t.Fatal(err)
		}
		b.PushGap("s2", closed())
		s.raise(10)
		s.reads(b, 10)
		s.sends(99, 99)
		s.check()
		s.verify(true)
	})
	t.Run("of a leader that has claimed anew", func(t *testing.T) {
		s := newShared(t)
		s.sync()
		b := s.leader
		b.Restart()
		if err := s.lead(b); err == nil {
			t.Fatal("it knows that it has missed nothing")
		}
		b.PushGap("s2", closed())
		s.raise(10)
		s.reads(b, 10)
		for range 2 {
			s.sends(99, 99)
		}
		s.check()
		s.verify(false)
	})
}

// However sessions end, events are refused or dropped, sent again and lost on their way, and bridges take
// over from one another and from themselves: each event is stored once at most, in order, and between two
// that do not follow one another is a Gap, which begins an epoch.
func TestShare_HolesAreAtGaps(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := newShared(t)
		s.unlike = true
		s.join(rapid.SampledFrom([]int{64 << 20, 300 * (EntryBytes + 16)}).Draw(t, "limit"))
		s.sync()
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			s.step(t)
			s.check()
		}
		for _, b := range s.all {
			s.session(b)
		}
		s.goesOn()
		s.sync()
		s.verifyGaps()
	})
}

// step has something happen.
func (s *shared) step(t *rapid.T) {
	b := rapid.SampledFrom(s.all).Draw(t, "bridge")
	switch rapid.IntRange(0, 11).Draw(t, "what") {
	case 0, 1:
		s.raise(rapid.IntRange(0, 120).Draw(t, "raised"))
	case 2, 3:
		for _, b := range s.all {
			s.reads(b, rapid.IntRange(0, 120).Draw(t, "read"))
		}
	case 4:
		s.sends(rapid.IntRange(0, 60).Draw(t, "sent"), rapid.IntRange(0, 60).Draw(t, "acked"))
	case 5: // what it sends does not arrive, and is sent again
		for range rapid.IntRange(0, 9).Draw(t, "lost") {
			s.leader.Take(nil)
		}
		s.rewind()
	case 6:
		s.beat(rapid.SampledFrom([]time.Duration{50 * time.Millisecond, time.Second}).Draw(t, "after"))
	case 7: // NATS never takes one of those in flight, and so what is behind it in the batch neither
		n := rapid.IntRange(1, 9).Draw(t, "sent")
		s.sends(999, 999)
		for range n {
			s.leader.Take(nil)
		}
		s.leader.RefuseSent(rapid.IntRange(0, n-1).Draw(t, "refused"))
		s.rewind()
	case 8: // its session ends
		s.session(b)
		b.Restart()
		b.missing, s.lost = true, s.lost || b == s.leader
		s.raise(rapid.IntRange(0, 9).Draw(t, "missed"))
	case 9:
		s.session(b)
	case 10:
		s.goesOn()
	case 11:
		s.session(b)
		_ = s.lead(b)
	}
}

// session has the next session of b come up, if it has none: its Gap comes before its first event.
func (s *shared) session(b *sharer) {
	if b.missing {
		b.missing, b.untold, b.read = false, true, len(s.raised)
	}
}

// goesOn has the leader go on with its next session.
func (s *shared) goesOn() {
	if s.lost {
		s.leader.NextEpoch()
		s.lost = false
	}
}

func (s *shared) rewind() {
	s.leader.Rewind(nil, nil)
	s.leader.inFlight = nil
}

// verifyGaps wants the stream to hold events once, in order, with Gaps where others are missing.
func (s *shared) verifyGaps() {
	last, at := standby.ID{}, -1
	for i, m := range s.stream {
		next := slices.Index(s.raised, m.payload)
		switch {
		case m.gap && (m.N != 0 || m.Epoch == last.Epoch):
			s.t.Fatalf("at %d: the Gap %v behind %v", i, m.ID, last)
		case m.gap:
			last = m.ID
			continue
		case m.Epoch != last.Epoch && i > 0, m.N != last.N+1:
			s.t.Fatalf("at %d: %v behind %v", i, m.ID, last)
		case next <= at, last.N > 0 && next != at+1:
			s.t.Fatalf("at %d: %s behind event %d, both of epoch %s", i, m.payload, at, m.Epoch)
		}
		last, at = m.ID, next
	}
	if at != len(s.raised)-1 {
		s.t.Fatalf("the last is event %d of %d", at, len(s.raised))
	}
}
