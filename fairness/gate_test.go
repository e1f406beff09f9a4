package fairness

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// Quick logins meet the rate, slow ones the concurrency.
func TestGate_BoundsConcurrencyAndRate(t *testing.T) {
	for _, test := range []struct {
		name        string
		login       time.Duration
		turns, most int
		least, last time.Duration
	}{
		{"quick", 10 * time.Millisecond, 500, 1, 9 * time.Second, 11 * time.Second},
		{"slow", time.Second, 100, 5, 20 * time.Second, 22 * time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := NewGate(5, 50)
				var mu sync.Mutex
				inside, most, done := 0, 0, 0
				var group sync.WaitGroup
				began := time.Now()
				for range test.turns {
					group.Go(func() {
						release, err := g.Acquire(t.Context(), time.Time{})
						if err != nil {
							t.Error(err)
							return
						}
						mu.Lock()
						inside++
						most = max(most, inside)
						mu.Unlock()
						time.Sleep(test.login)
						mu.Lock()
						inside--
						done++
						mu.Unlock()
						release()
					})
				}
				group.Wait()
				if most != test.most || done != test.turns {
					t.Errorf("%d inside at once and %d done, want %d and all %d", most, done, test.most, test.turns)
				}
				if took := time.Since(began); took < test.least || took > test.last {
					t.Errorf("%d turns took %v", test.turns, took)
				}
			})
		})
	}
}

func TestGate_CancelledWaiterLeavesNoHole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewGate(1, 1000)
		release, err := g.Acquire(t.Context(), time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var group sync.WaitGroup
		group.Go(func() {
			if _, err := g.Acquire(ctx, time.Time{}); err == nil {
				t.Error("a cancelled waiter got a turn")
			}
		})
		synctest.Wait()
		cancel()
		group.Wait()
		release()
		if release, err = g.Acquire(t.Context(), time.Time{}); err != nil {
			t.Fatal(err)
		}
		release()
	})
}

// A turn that cannot come before the deadline ends in the context's error, and
// leaves place and rate to the next.
func TestGate_ErrorIsTheContextsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewGate(1, 1)
		release, err := g.Acquire(t.Context(), time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		release()
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if _, err := g.Acquire(ctx, time.Time{}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
		began := time.Now()
		if release, err = g.Acquire(t.Context(), time.Time{}); err != nil {
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
					release, err := g.Acquire(t.Context(), time.Time{})
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

// While more wait than the rate lets in, whoever was in last goes first, and
// every fourth turn is that of whoever has waited longest.
func TestGate_WhoWasInLastGoesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewGate(1, 10)
		release, err := g.Acquire(t.Context(), time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		var order []int
		var group sync.WaitGroup
		now := time.Now()
		for i := range 12 { // the later it comes the later it was in; 0 and 1 never were
			last := now.Add(time.Duration(i) * time.Minute)
			if i < 2 {
				last = time.Time{}
			}
			group.Go(func() {
				release, err := g.Acquire(t.Context(), last)
				if err != nil {
					t.Error(err)
					return
				}
				order = append(order, i)
				release()
			})
			synctest.Wait()
		}
		release()
		group.Wait()
		if want := []int{11, 10, 0, 9, 8, 7, 1, 6, 5, 4, 2, 3}; !slices.Equal(order, want) {
			t.Errorf("turns of %v, want %v", order, want)
		}
	})
}

// Whoever is cancelled just as its turn comes gives the place to the next.
func TestGate_ACancelledTurnIsGivenOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewGate(1, 1000)
		for range 200 {
			if _, err := g.Acquire(t.Context(), time.Time{}); err != nil { // given back by hand
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			var group sync.WaitGroup
			group.Go(func() {
				if release, err := g.Acquire(ctx, time.Now()); err == nil {
					release()
				}
			})
			group.Go(func() { // the next
				release, err := g.Acquire(t.Context(), time.Time{})
				if err != nil {
					t.Error(err)
					return
				}
				release()
			})
			time.Sleep(10 * time.Millisecond) // it waits, and the rate would let it in
			g.mu.Lock()                       // so that it hears of both at once
			cancel()
			runtime.Gosched()
			g.places++
			g.admit()
			g.mu.Unlock()
			group.Wait()
		}
		release, err := g.Acquire(t.Context(), time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		release()
	})
}
