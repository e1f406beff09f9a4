package harness

import (
	"testing"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
)

// Eventually waits for cond.
func Eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for deadline := time.Now().Add(Patience); !cond(); {
		if time.Now().After(deadline) {
			t.Fatalf("never came: %s", what)
		}
		<-ticker.C
	}
}

// Within returns what comes from ch, or the test ends after Patience.
func Within[T any](t *testing.T, what string, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(Patience):
		t.Fatalf("never came: %s", what)
		panic("unreachable")
	}
}

// EveryEventIsRead waits until the bridge has read all that was sent.
func EveryEventIsRead(t *testing.T, r *Running, sim *amisim.Server) {
	t.Helper()
	sent := float64(sim.Emitted())
	Eventually(t, "every event is read", func() bool { return r.Metric("events_received_total") == sent })
}

// SentAgain waits until what is in flight to a frozen NATS is given up: it will
// come twice.
func SentAgain(t *testing.T, r *Running) {
	t.Helper()
	Eventually(t, "the end of the wait for an acknowledgement", func() bool {
		return r.Metric("events_resent_total") > 0 || r.Metric("nats_up", "connection", "events") == 0
	})
}
