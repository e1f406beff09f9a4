package amiconn

import (
	"errors"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/correlation"
	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
)

// As many Actions as MaxPending, over all sessions together, wait at the price
// of some memory and of no goroutine, and each ends.
func TestPending_CostsMemoryAndNoGoroutine(t *testing.T) {
	const pending, sessions = 5000, 4
	const most = 2 << 10 // bytes each
	var ended atomic.Int64
	inBubble(t, amisim.Config{}, actionSessions(sessions), func(b *bench) {
		b.up()
		b.sim.Always("Getvar", amisim.Ignore)
		heap := func() int64 {
			var m runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&m)
			return int64(m.HeapAlloc)
		}
		synctest.Wait()
		goroutines, before := runtime.NumGoroutine(), heap()
		by := b.flood(pending, Action{
			Name: "Getvar", Headers: []frames.Header{header("Channel", "PJSIP/alice-00000001"), header("Variable", "CALLERID(num)")},
			Done: func(r *correlation.Result) { ended.Add(1); r.Release() },
		})
		synctest.Wait()
		each, more := (heap()-before)/pending, runtime.NumGoroutine()-goroutines
		t.Logf("%d pending on %d sessions: %d bytes each, %d goroutines more", pending, sessions, each, more)
		if each > most || more > 0 {
			t.Errorf("%d bytes and %d goroutines for %d pending Actions, want %d bytes each at most and no goroutine", each*pending, more, pending, most)
		}
		for session, n := range by {
			if n != pending/sessions {
				t.Errorf("%d of %d on %s", n, pending, session)
			}
		}
		_, err := b.link.Do(Action{Name: "Getvar", Done: func(*correlation.Result) { t.Error("Done was called") }})
		if s := b.link.Status(); !errors.Is(err, ErrBusy) || s.Calls.Pending != pending || s.CallsRefused != 1 {
			t.Errorf("one more: %v, %d pending, %d refused", err, s.Calls.Pending, s.CallsRefused)
		}
		time.Sleep(5*time.Minute + time.Second)
		if n := ended.Load(); n != pending {
			t.Errorf("%d of %d ended", n, pending)
		}
	})
}
