package fairness

import "testing"

// A turn that the consumer cuts short, because its window is full, saves no
// budget up for later.
func TestScheduler_CutTurnsSaveNothingUp(t *testing.T) {
	s := NewScheduler(100)
	a, b := s.Add(), s.Add()
	s.Ready(a)
	s.Ready(b)
	for range 1000 {
		id, budget, _ := s.Next()
		if budget > 200 {
			t.Fatalf("source %d may send %d bytes in one turn, twice the quantum is 200", id, budget)
		}
		s.Served(id, 1, true)
	}
}
