package delivery

import (
	"testing"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/clocktest"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/natsconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/outbox"
)

// An acknowledgement is late by the time that has passed, not by the clock's.
func TestClock_SetWhileEventsAreInFlight(t *testing.T) {
	for _, jump := range clocktest.Jumps {
		w := windowOf(func(int) {}, outbox.New(1<<20, "x", outbox.NewBudget(1<<20, 1), func() {}))
		w.add(0, 100, time.Now())
		sent := w.sources[0].slot(0).at
		if w.expire(clocktest.Set(t, sent.Add(time.Second), jump)); len(w.takeFailures(nil)) != 0 {
			t.Errorf("set by %v: late after a second", jump)
		}
		if w.expire(clocktest.Set(t, sent.Add(natsconn.AckTimeout+time.Second), jump)); len(w.takeFailures(nil)) != 1 {
			t.Errorf("set by %v: waits for ever", jump)
		}
	}
}
