package clock

import (
	"testing"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/clocktest"
)

func TestClock_WallTimeNeverComesAfterNow(t *testing.T) {
	for _, jump := range clocktest.Jumps {
		then := time.Now()
		now := clocktest.Set(t, then.Add(10*time.Second), jump)
		want := then.UnixNano()
		if jump < 0 {
			want = now.UnixNano() - int64(10*time.Second)
		}
		if got := Wall(then, now); got != want {
			t.Errorf("set by %v: %v before now", jump, time.Duration(now.UnixNano()-got))
		}
		// Without a monotonic reading nobody knows how long it was; never after now.
		bare, later := then.Round(0), now.Round(0)
		if got := Wall(bare, later); got > later.UnixNano() {
			t.Errorf("bare, set by %v: %v after now", jump, time.Duration(got-later.UnixNano()))
		}
		if l := Left(time.Minute, bare, later); l < 0 || l > time.Minute {
			t.Errorf("bare, set by %v: %v of a minute is left", jump, l)
		}
	}
}
