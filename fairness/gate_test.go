package fairness

import (
	"context"
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
