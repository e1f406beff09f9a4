package standby

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// Bridges that do not hear each other, though all reach the stream, do not exchange the lead
// without an end. Who leads then is followed once it leads no more, and as soon as ever when they
// hear each other again.
func TestSim_WhoIsNotHeardIsLeftInTheLead(t *testing.T) {
	simulate(t, func(rng *rand.Rand) error {
		nodes := 2 + rng.IntN(2)
		s := newSim(rng, nodes, 0)
		s.a.repeats, s.a.shared, s.lossy, s.burst = 0, false, true, 2
		if !s.settle() {
			return errors.New("not all are in sync at the start")
		}
		s.apart = func(*node, *node) bool { return true }
		if rng.IntN(2) == 0 { // of three those at the ends
			s.apart = func(a, b *node) bool { return nodes == 2 || a.name != "b2" && b.name != "b2" }
		}
		// A leader that was claimed from may find it out no sooner than it looks at its record: what it
		// sends is stored already, and so no fence is looked at.
		before := s.js.term.Term
		s.run(6*time.Minute, true)
		if claims := s.js.term.Term - before; claims > uint64(5*nodes) {
			return fmt.Errorf("%d claims, %d Gaps", claims, s.gaps)
		}
		before = s.js.term.Term
		s.run(2*time.Minute, true)
		if s.js.term.Term != before {
			return fmt.Errorf("%d claims after six minutes", s.js.term.Term-before)
		}
		if err := s.endLead(rng.IntN(3)); err != nil {
			return err
		}
		s.apart = nil
		s.run(time.Second, true)
		if !s.settle() {
			return errors.New("in the end not all are in sync")
		}
		s.paused = 0
		s.leader().start(s.now)
		if !s.settle() || s.paused > 3*time.Second {
			return fmt.Errorf("a dead one that was heard was followed after %v", s.paused)
		}
		s.run(5*time.Second, false)
		return cmp.Or(s.failure, s.checkHoles())
	})
}

// endLead has who leads, and is not heard, lead no more, for some minutes.
func (s *sim) endLead(how int) error {
	s.paused = 0
	leader, end := s.leader(), s.now.Add(4*time.Minute)
	what := []string{"frozen", "without a session", "mute"}[how]
	switch how {
	case 0:
		leader.frozen = end
	case 1:
		leader.fall(s.now)
		leader.up = end
	case 2:
		leader.mute = end
	}
	s.run(100*time.Second, true)
	if most := goneAfter + goneAfter/4 + 5*time.Second; s.paused > most {
		return fmt.Errorf("one that was %s was followed after %v, want at most %v", what, s.paused, most)
	}
	s.run(3*time.Minute, true)
	return nil
}

// Whoever leads looks at its record, and stands by for who has claimed unheard; it claims again no
// sooner than one that the stream has refused. What came to nothing, or shows its own record, changes
// nothing, and no look is in the way of a term that is being written.
func TestLeading_LooksWhetherAnotherHasClaimedUnheard(t *testing.T) {
	s := newScript(t)
	s.wait(simSilence+coldPause, AskTerm)
	s.lead(saw("", 0, 0), BeginFirst)
	s.on(Event{Kind: Look}, AskTerm)
	s.on(Event{Kind: Look}) // it has no answer yet
	s.on(Event{Kind: Failed})
	s.on(Event{Kind: Look}, AskTerm)
	s.on(saw("b1", 1, s.l.Fence()))
	s.wait(renewAfter, WriteTerm)
	s.on(Event{Kind: Look})
	s.on(Event{Kind: Wrote, Seq: s.l.Fence() + 1})
	s.on(Event{Kind: Look}, AskTerm)
	s.on(saw("b2", 2, s.l.Fence()+1), Hold)
	if node, _ := s.l.Unheard(s.now); node != "b2" || s.l.Leads() || s.l.patience() != 4*simSilence {
		t.Errorf("it leads: %v, and %q is not heard, which it leaves the lead for %v", s.l.Leads(), node, s.l.patience())
	}
}

// A bridge that has just started and hears nobody claims behind another's record only if nothing is
// stored meanwhile: who leads may be alive. Its own record, of the process before, it claims behind
// at once, and who is heard it does not claim from.
func TestLeading_StartsUnheard(t *testing.T) {
	stored := func(seq uint64) Event {
		e := saw("b2", 7, 20)
		e.Stored = seq
		return e
	}
	start := func() *script {
		s := newScript(t)
		s.wait(simSilence+coldPause, AskTerm)
		if !s.l.AsksLife() {
			t.Error("it does not want to know what is stored")
		}
		return s
	}
	s := start()
	s.on(saw("b1", 7, 20), WriteTerm)

	s = start()
	for range simSilence / askPause {
		s.on(stored(100))
		s.wait(askPause, AskTerm)
	}
	s.on(stored(100), WriteTerm)

	s = start()
	s.on(stored(100))
	s.wait(askPause, AskTerm)
	s.on(stored(101), Hold)
	if node, _ := s.l.Unheard(s.now); node != "b2" {
		t.Errorf("%q leads and is not heard", node)
	}
	quiet := stored(101)
	for i := range uint64(12) {
		s.wait(goneAfter/4, AskTerm)
		quiet.Seq = 20 + i/3 // it writes its record anew each 45 s
		s.on(quiet, Hold)
	}

	s = start()
	s.on(stored(100))
	s.on(s.heard("b2", 7, ""), Hold)
}
