package policy

import (
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func rates(t *testing.T, text string) Rates {
	t.Helper()
	var r Rates
	if err := r.Decode(text); err != nil {
		t.Fatal(err)
	}
	return r
}

// allowed asks l for n of action at once and returns how many it let through
// and the shortest wait that it told the others.
func allowed(l Limiter, action string, n int) (through int, wait time.Duration) {
	for range n {
		switch w := l.Allow(action); {
		case w == 0:
			through++
		case wait == 0 || w < wait:
			wait = w
		}
	}
	return through, wait
}

func TestLimiter_FirstMatchDecides(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLimiter(rates(t, "Originate=5,Queue*=50,AGI=0.5,Core*=2.9"))
		for _, test := range []struct {
			action  string
			through int
		}{
			{"Originate", 5},
			{"originate", 0}, // the same rate, used up
			{"QueueAdd", 50},
			{"QueueStatus", 0},
			{"AGI", 1},
			{"CoreStatus", 2},
			{"Ping", 200},
		} {
			if got, _ := allowed(l, test.action, 200); got != test.through {
				t.Errorf("%d of 200 %s at once, want %d", got, test.action, test.through)
			}
		}
	})
}

// Whoever comes again when it was told to is let through, and no more than the
// rate are, however often they ask.
func TestLimiter_SaysWhenToComeAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLimiter(rates(t, "Originate=4,AGI=0.1"))
		allowed(l, "Originate", 100)
		allowed(l, "AGI", 100)
		if _, wait := allowed(l, "AGI", 1); wait < 10*time.Second || wait > 10*time.Second+time.Millisecond {
			t.Errorf("AGI may come again in %v, want 10 s", wait)
		}
		for range 8 {
			_, wait := allowed(l, "Originate", 100)
			if wait < 250*time.Millisecond || wait > 251*time.Millisecond {
				t.Errorf("Originate may come again in %v, want 250 ms", wait)
			}
			time.Sleep(wait)
			if through, _ := allowed(l, "Originate", 100); through != 1 {
				t.Errorf("%d let through after the wait, want 1", through)
			}
		}
		time.Sleep(150 * time.Millisecond)
		if _, wait := allowed(l, "Originate", 1); wait < 98*time.Millisecond || wait > 102*time.Millisecond {
			t.Errorf("after 150 of 250 ms Originate may come again in %v", wait)
		}
		thirds := NewLimiter(rates(t, "Ping=3")) // of a second, which are no whole milliseconds
		for range 10 {
			_, wait := allowed(thirds, "Ping", 10)
			time.Sleep(wait)
			if through, _ := allowed(thirds, "Ping", 1); through != 1 {
				t.Errorf("after %v Ping is not let through", wait)
			}
		}
	})
}

func TestLimiter_IsSafeForConcurrentUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLimiter(rates(t, "*=100"))
		var mu sync.Mutex
		var group sync.WaitGroup
		total := 0
		for range 10 {
			group.Go(func() {
				n, _ := allowed(l, "Ping", 100)
				mu.Lock()
				defer mu.Unlock()
				total += n
			})
		}
		group.Wait()
		if total != 100 {
			t.Errorf("%d let through at once, want 100", total)
		}
	})
}

func TestRates_ReadWhatTheyPrint(t *testing.T) {
	for _, text := range []string{"", "Originate=5", "Originate=5,Queue*=0.25,*=1e+06"} {
		if got := rates(t, text).String(); got != text {
			t.Errorf("%q prints as %q", text, got)
		}
	}
	for _, text := range []string{"5", "Originate", "Originate=", "=5", "Originate=0", "Originate=-1", "Originate=NaN", "Originate=Inf", "Originate=1e9", "[=1", "Originate=5/s"} {
		var r Rates
		if err := r.Decode(text); err == nil || r != nil || !strings.Contains(err.Error(), "wants") {
			t.Errorf("%q is read as %q (%v)", text, r, err)
		}
	}
}
