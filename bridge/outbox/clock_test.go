package outbox

import (
	"testing"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/clocktest"
)

// Of events dropped before and after the clock was set one Gap tells, which
// covers the times of both.
func TestClock_SetBetweenDroppedEvents(t *testing.T) {
	for _, jump := range clocktest.Jumps {
		g, start := Gap{Reason: DropOverflow}, time.Now()
		after := clocktest.Set(t, start.Add(time.Second), jump)
		g.add(start.UnixNano())
		g.add(after.UnixNano())
		other := Gap{Reason: DropOverflow}
		other.add(after.UnixNano())
		g.merge(&other)
		if g.From != min(start.UnixNano(), after.UnixNano()) || g.To != max(start.UnixNano(), after.UnixNano()) || g.Lost != 3 {
			t.Errorf("set by %v: %+v", jump, g)
		}
	}
}
