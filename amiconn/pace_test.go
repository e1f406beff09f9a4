package amiconn

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// enter waits until b lets the event session connect.
func enter(t *testing.T, b *breaker) *try {
	t.Helper()
	try, err := b.enter(t.Context(), time.Time{}, 0, true)
	if err != nil {
		t.Fatal(err)
	}
	return try
}

var errGone = &SessionError{ReasonClosed, errors.New("gone")}

// Only the fall of a young session says that a server lets in and drops. As many
// as the breaker bears have the grace of a restart, one more has none.
func TestPace_YoungFallsAloneEndTheGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := DefaultConfig()
		b := newBreaker(&cfg, func(BreakerChange) {})
		fall := func(young bool) {
			try := enter(t, b)
			try.up()
			try.lost(errGone, young)
		}
		for range 10 {
			fall(false)
		}
		for n := range cfg.BreakerFailures + 1 {
			if _, early := b.failing(); !early {
				t.Fatalf("no grace after %d young falls", n)
			}
			fall(true)
		}
		if _, early := b.failing(); early {
			t.Errorf("grace after %d young falls", cfg.BreakerFailures+1)
		}
	})
}

// The wait of a session that fails while others stand is its own too: up to half
// is taken off, so that those of many servers do not come together.
func TestPace_TheOwnWaitHasJitter(t *testing.T) {
	cfg := DefaultConfig()
	for n, most := range []time.Duration{cfg.BackoffMin, 2 * cfg.BackoffMin, 4 * cfg.BackoffMin} {
		different := make(map[time.Duration]bool)
		for range 50 {
			wait := ownWait(n, &cfg)
			if wait < most/2 || wait > most {
				t.Errorf("wait %d is %v, want %v less up to half", n, wait, most)
			}
			different[wait] = true
		}
		if len(different) < 40 {
			t.Errorf("wait %d: %d different ones of 50", n, len(different))
		}
	}
	if wait := ownWait(100, &cfg); wait < cfg.BackoffMax/2 || wait > cfg.BackoffMax {
		t.Errorf("the hundredth is %v", wait)
	}
}
