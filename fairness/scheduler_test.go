package fairness

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

func TestScheduler_ServesBacklogInTurn(t *testing.T) {
	s := NewScheduler(100)
	for range 3 {
		s.Ready(s.Add())
	}
	var got []int
	for range 6 {
		id, budget, ok := s.Next()
		if !ok || budget != 100 {
			t.Fatalf("Next = %d, %d, %v; want a budget of 100", id, budget, ok)
		}
		got = append(got, id)
		s.Served(id, 100, true)
	}
	if want := "[0 1 2 0 1 2]"; fmt.Sprint(got) != want {
		t.Errorf("turns = %v, want %s", got, want)
	}
}

func TestScheduler_ReadyWhileServedIsNotLost(t *testing.T) {
	s := NewScheduler(100)
	s.Ready(s.Add())
	id, _, _ := s.Next()
	s.Ready(id) // an event arrived after the consumer saw an empty outbox
	s.Served(id, 10, false)
	if _, _, ok := s.Next(); !ok {
		t.Error("the source that became ready during its turn has none")
	}
}

func TestScheduler_MakesALargeOnePayLater(t *testing.T) {
	s := NewScheduler(100)
	large, small := s.Add(), s.Add()
	s.Ready(large)
	s.Ready(small)
	turns := map[int]int{}
	id, _, _ := s.Next()
	s.Served(id, 1000, true) // ten times the quantum in one message
	for range 10 {
		id, budget, _ := s.Next()
		turns[id]++
		s.Served(id, min(budget, 100), true)
	}
	if turns[small] < 9 {
		t.Errorf("after a message of 10 quanta the other source had %d of 10 turns, want 9 or more", turns[small])
	}
}

// Every backlogged source is served once a round, and shares are equal by
// bytes whatever the sizes of their messages.
func TestScheduler_SharesByBytes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const quantum = 4096
		n := rapid.IntRange(2, 20).Draw(t, "sources")
		sizes := make([]int, n)
		s := NewScheduler(quantum)
		for i := range sizes {
			sizes[i] = rapid.IntRange(1, 2*quantum).Draw(t, "size")
			s.Ready(s.Add())
		}
		sent := make([]int, n)
		last := make([]int, n)
		for turn := range n * 400 {
			id, budget, ok := s.Next()
			if !ok {
				t.Fatal("a backlogged scheduler has nobody to serve")
			}
			// One that owes for a large message sits out whole rounds.
			if wait := turn - last[id]; wait > 4*n {
				t.Fatalf("source %d waited %d turns among %d", id, wait, n)
			}
			last[id] = turn
			used := 0
			for used < budget {
				used += sizes[id]
			}
			sent[id] += used
			s.Served(id, used, true)
		}
		var sum, squares float64
		for _, b := range sent {
			sum += float64(b)
			squares += float64(b) * float64(b)
		}
		if jain := sum * sum / (float64(n) * squares); jain < 0.99 {
			t.Fatalf("Jain's index %.4f for %v", jain, sent)
		}
	})
}

func BenchmarkScheduler(b *testing.B) {
	for _, ready := range []int{1, 500} {
		b.Run(fmt.Sprintf("%d ready of 500", ready), func(b *testing.B) {
			s := NewScheduler(4096)
			for i := range 500 {
				if id := s.Add(); i < ready {
					s.Ready(id)
				}
			}
			b.ReportAllocs()
			for b.Loop() {
				id, _, _ := s.Next()
				s.Served(id, 4096, true)
			}
		})
	}
}

// What a source did not use when it ran empty is gone: it starts afresh.
func TestScheduler_AnEmptySourceSavesNothingUp(t *testing.T) {
	s := NewScheduler(100)
	id := s.Add()
	for range 10 {
		s.Ready(id)
		if _, budget, ok := s.Next(); !ok || budget != 100 {
			t.Fatalf("a source that ran empty may send %d bytes in its next turn, want the quantum of 100", budget)
		}
		s.Served(id, 10, false)
	}
}

// A source is in the round once, whatever it says and the consumer says of it
// between Next and Served.
func TestScheduler_IsQueuedOnce(t *testing.T) {
	for _, test := range []struct {
		name string
		sent int
		more bool
	}{{"cut short", 10, true}, {"used up", 100, true}, {"overdrawn", 150, true}, {"empty", 10, false}} {
		t.Run(test.name, func(t *testing.T) {
			s := NewScheduler(100)
			id, other := s.Add(), s.Add()
			s.Ready(id)
			s.Ready(id)
			s.Next()
			s.Ready(id)
			s.Ready(id)
			s.Served(id, test.sent, test.more)
			s.Ready(other)
			turns := map[int]int{}
			for range 4 {
				next, _, ok := s.Next()
				if !ok {
					break
				}
				turns[next]++
				s.Served(next, 0, false)
			}
			if turns[id] != 1 || turns[other] != 1 {
				t.Errorf("%v turns of source %d and %d, want one each", turns, id, other)
			}
		})
	}
}

// Wake tells once that the round is no longer empty, and nothing of what was
// known.
func TestScheduler_WakeTellsOnce(t *testing.T) {
	s := NewScheduler(100)
	a, b := s.Add(), s.Add()
	woken := func() bool {
		select {
		case <-s.Wake():
			return true
		default:
			return false
		}
	}
	if woken() {
		t.Error("woken before anything was ready")
	}
	s.Ready(a)
	s.Ready(b)
	if !woken() || woken() {
		t.Error("two that became ready want to wake once")
	}
	s.Ready(a)
	if woken() {
		t.Error("woken for what was known")
	}
	s.Next()
	s.Ready(a)
	if !woken() {
		t.Error("not woken for a source that became ready in its turn")
	}
}

// Any asks of those that are ready, and of no others.
func TestScheduler_AnyAsksTheReadyOnes(t *testing.T) {
	s := NewScheduler(100)
	var ids []int
	for range 5 {
		ids = append(ids, s.Add())
	}
	asked := map[int]int{}
	never := func(id int) bool { asked[id]++; return false }
	if s.Any(never) || len(asked) != 0 {
		t.Errorf("asked %v while none is ready", asked)
	}
	for _, id := range ids[:4] {
		s.Ready(id)
	}
	s.Next() // the first is no longer ready, and the ring no longer begins at 0
	s.Ready(ids[4])
	if s.Any(never) || fmt.Sprint(asked) != "map[1:1 2:1 3:1 4:1]" {
		t.Errorf("asked %v, want 1 to 4 once each", asked)
	}
	for id, want := range []bool{false, true, true, true, true} {
		if got := s.Any(func(other int) bool { return other == id }); got != want {
			t.Errorf("source %d is ready: %v", id, got)
		}
	}
}
