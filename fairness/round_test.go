package fairness

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// The property of deficit round robin over random loads: sources that come and
// go, with messages of up to three quanta, served by a consumer that now and
// then has to stop in the middle of a turn. Between two turns of a backlogged
// source every other has at most one, but for the rounds that it sits out to
// pay for what it has overdrawn.
func TestScheduler_NobodyWaitsLongerThanARound(t *testing.T) {
	const quantum = 1000
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(2, 12).Draw(t, "sources")
		s := NewScheduler(quantum)
		backlog := make([][]int, n) // sizes of messages
		turns := make([][]int, n)   // since the source's own last turn, of each other
		debt := make([]int, n)      // overdrawn at its last turn
		for i := range n {
			s.Add()
			turns[i] = make([]int, n)
		}
		arrive := func(i int) {
			if len(backlog[i]) == 0 {
				clear(turns[i])
			}
			for range rapid.IntRange(1, 30).Draw(t, "messages") {
				backlog[i] = append(backlog[i], rapid.IntRange(1, 3*quantum).Draw(t, "size"))
			}
			s.Ready(i)
		}
		last := -1 // whose turn was cut
		for range rapid.IntRange(1, 400).Draw(t, "turns") {
			if rapid.Bool().Draw(t, "arrives") {
				arrive(rapid.IntRange(0, n-1).Draw(t, "source"))
			}
			id, budget, ok := s.Next()
			if !ok {
				for i := range n {
					if len(backlog[i]) > 0 {
						t.Fatalf("source %d has a backlog and nobody is served", i)
					}
				}
				continue
			}
			if id != last {
				for i := range n {
					turns[i][id]++
				}
				for other, k := range turns[id] {
					// A debt of k quanta is paid in as many rounds.
					if rounds := 1 + (debt[id]+quantum-1)/quantum; other != id && k > rounds {
						t.Fatalf("source %d waited for %d turns of %d, owing %d", id, k, other, debt[id])
					}
				}
				clear(turns[id])
			}
			cut := rapid.IntRange(0, 9).Draw(t, "cut") == 0
			used := 0
			for used < budget && len(backlog[id]) > 0 && !cut {
				used += backlog[id][0]
				backlog[id] = backlog[id][1:]
			}
			if last = -1; cut {
				last = id
			}
			debt[id] = max(0, used-budget)
			s.Served(id, used, len(backlog[id]) > 0)
		}
	})
}

// Choosing the next of 500 costs about what it does of two, be one of them
// flooding or all. They are measured in turns, each for less than the machine
// leaves a process alone, and the least counts.
func TestScheduler_CostStaysFlat(t *testing.T) {
	const turns = 1000
	scheduler := func(sources, ready int) *Scheduler {
		s := NewScheduler(4096)
		for i := range sources {
			if id := s.Add(); i < ready {
				s.Ready(id)
			}
		}
		return s
	}
	all := []*Scheduler{scheduler(2, 1), scheduler(500, 1), scheduler(500, 500)}
	least := []time.Duration{time.Hour, time.Hour, time.Hour}
	for range 300 {
		for i, s := range all {
			began := time.Now()
			for range turns {
				id, _, _ := s.Next()
				s.Served(id, 4096, true)
			}
			least[i] = min(least[i], time.Since(began))
		}
	}
	for i, ready := range []int{1, 500} {
		two, many := least[0], least[i+1]
		t.Logf("%d of 500 ready: %.2f times the cost of one of two", ready, float64(many)/float64(two))
		if many > 4*two {
			t.Errorf("with %d of 500 ready a turn costs %v, with one of two %v", ready, many/turns, two/turns)
		}
	}
}
