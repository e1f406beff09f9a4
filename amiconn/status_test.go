package amiconn

import (
	"testing"
	"testing/synctest"
	"time"
)

// Callers are told to come again when the first of the action sessions is tried,
// not before the server may be, and at once if one is being tried.
func TestStatus_TellsWhenTheFirstIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := DefaultConfig()
		cfg.ActionSessions = 3
		for _, test := range []struct {
			waits  [3]time.Duration
			server time.Duration
			want   time.Duration
		}{
			{[3]time.Duration{10 * time.Second, 3 * time.Second, 5 * time.Second}, 0, 3 * time.Second},
			{[3]time.Duration{3 * time.Second, 10 * time.Second, 5 * time.Second}, 0, 3 * time.Second},
			{[3]time.Duration{10 * time.Second, 3 * time.Second, 5 * time.Second}, 7 * time.Second, 7 * time.Second},
			{[3]time.Duration{10 * time.Second, -time.Second, 5 * time.Second}, 0, 0},
			{[3]time.Duration{-time.Second, -time.Second, -time.Second}, 2 * time.Second, 2 * time.Second},
		} {
			l := NewLink(cfg, Deps{})
			now := time.Now()
			for i, wait := range test.waits {
				l.actions[i].retryAt = now.Add(wait)
			}
			l.breaker.retryAt = now.Add(test.server)
			if got := l.RetryIn(); got != test.want {
				t.Errorf("waits %v, the server's %v: again in %v, want %v", test.waits, test.server, got, test.want)
			}
		}
	})
}
