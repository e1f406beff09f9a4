package fairness

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestGate_BoundsConcurrencyAndRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewGate(5, 50)
		var mu sync.Mutex
		inside, most, done := 0, 0, 0
		var group sync.WaitGroup
		began := time.Now()
		for range 500 {
			group.Go(func() {
				release, err := g.Acquire(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				inside++
				most = max(most, inside)
				mu.Unlock()
				time.Sleep(50 * time.Millisecond) // the login
				mu.Lock()
				inside--
				done++
				mu.Unlock()
				release()
			})
		}
		group.Wait()
		if most > 5 || done != 500 {
			t.Errorf("%d inside at once and %d done, want at most 5 and all 500", most, done)
		}
		if took := time.Since(began); took < 9*time.Second || took > 12*time.Second {
			t.Errorf("500 turns at 50 a second took %v", took)
		}
	})
}

func TestGate_CancelledWaiterLeavesNoHole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewGate(1, 1000)
		release, err := g.Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var group sync.WaitGroup
		group.Go(func() {
			if _, err := g.Acquire(ctx); err == nil {
				t.Error("a cancelled waiter got a turn")
			}
		})
		synctest.Wait()
		cancel()
		group.Wait()
		release()
		if release, err = g.Acquire(t.Context()); err != nil {
			t.Fatal(err)
		}
		release()
	})
}

// A turn that cannot come before the deadline ends in the context's error, and
// leaves place and rate to the next.
func TestGate_ErrorIsTheContextsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewGate(2, 1)
		release, err := g.Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		release()
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if _, err := g.Acquire(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
		began := time.Now()
		if release, err = g.Acquire(t.Context()); err != nil {
			t.Fatal(err)
		}
		release()
		if took := time.Since(began); took > time.Second {
			t.Errorf("the next turn came after %v: a cancelled one has taken its place in the rate", took)
		}
	})
}

// Whoever comes first is served first, however often others come back.
func TestGate_ServesInTheOrderOfArrival(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewGate(1, 10)
		var mu sync.Mutex
		var order []int
		var group sync.WaitGroup
		for i := range 20 {
			group.Go(func() {
				for range 1 + 4*(i%2) { // every second one flaps
					release, err := g.Acquire(t.Context())
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					order = append(order, i)
					mu.Unlock()
					release()
				}
			})
			synctest.Wait()
		}
		group.Wait()
		seen := map[int]bool{}
		for _, i := range order[:20] {
			seen[i] = true
		}
		if len(seen) < 19 { // the first flapper came back before the last arrived
			t.Errorf("only %d of 20 had a turn in the first 20: %v", len(seen), order[:20])
		}
	})
}
