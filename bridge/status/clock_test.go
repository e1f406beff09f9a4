package status

import (
	"errors"
	"testing"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/clock"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/clocktest"
)

// What a state says of the time until the next try is not moved by the clock,
// and its since is never after its at.
func TestClock_SetWhileASessionWaits(t *testing.T) {
	for _, jump := range clocktest.Jumps {
		s, start := testServer(t), time.Now()
		failure := errors.New("refused")
		c := amiconn.Change{Role: amiconn.RoleEvents, To: amiconn.StateWaiting, Reason: amiconn.ReasonDial, Err: failure, RetryIn: 30 * time.Second, At: start}
		m := s.connectionStatus(c, clocktest.Set(t, start.Add(10*time.Second), jump), triggerInterval, 0)
		if m.RetryInMS != 20_000 || m.Since > m.At {
			t.Errorf("set by %v: %+v", jump, m)
		}
		o := amiconn.BreakerChange{From: amiconn.BreakerClosed, To: amiconn.BreakerOpen, Reason: amiconn.ReasonDial, Err: failure, RetryIn: 30 * time.Second, At: start}
		now := clocktest.Set(t, start.Add(10*time.Second), jump)
		b := s.breakerStatus(o, now, triggerInterval, 20*time.Second)
		if b.RetryInMS != 20_000 || b.Since > b.At || b.RetryAt != clock.Stamp(now.Add(20*time.Second)) {
			t.Errorf("set by %v: %+v", jump, b)
		}
	}
}
