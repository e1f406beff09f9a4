package bridge

import (
	"testing"
	"time"
)

func TestClock_WallTimeNeverComesAfterNow(t *testing.T) {
	for _, jump := range jumps {
		then := time.Now()
		now := set(t, then.Add(10*time.Second), jump)
		want := then.UnixNano()
		if jump < 0 {
			want = now.UnixNano() - int64(10*time.Second)
		}
		if got := wallTime(then, now); got != want {
			t.Errorf("set by %v: %v before now", jump, time.Duration(now.UnixNano()-got))
		}
		// Without a monotonic reading nobody knows how long it was; never after now.
		bare, later := then.Round(0), now.Round(0)
		if got := wallTime(bare, later); got > later.UnixNano() {
			t.Errorf("bare, set by %v: %v after now", jump, time.Duration(got-later.UnixNano()))
		}
		if l := left(time.Minute, bare, later); l < 0 || l > time.Minute {
			t.Errorf("bare, set by %v: %v of a minute is left", jump, l)
		}
	}
}
