package view

import (
	"testing"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/clocktest"
)

// The clock of the machine of bridge and reader is set: what the bridge says then is not older
// than what it said before, what is lost is seen, and nothing is silent.
func TestClock_Set(t *testing.T) {
	t.Parallel()
	for _, jump := range clocktest.Jumps {
		w := watch(t)
		began, sofar := time.Now(), time.Duration(0)
		pass := func(by time.Duration) {
			sofar += 5 * time.Second
			w.now = clocktest.Set(t, began.Add(sofar), by)
			w.Tick(w.now)
		}
		w.now = began
		w.up("pbx1")
		for i := range uint64(4) {
			pass(0)
			w.tell("pbx1", "buffers", buffers(100*i, 100*i))
		}
		for i := range uint64(12) { // skewPast messages and more
			pass(jump)
			w.tell("pbx1", "buffers", buffers(1000+60*i, 1000+50*i, dropped("overflow", 10*i)))
		}
		s := w.of("pbx1")
		if s.State != StateLosing || s.Account.Received != 1660 || s.Rates.In != 12 || s.Losing.Rate != 2 {
			t.Errorf("set by %v: %+v, %+v, %+v", jump, s.Verdict, s.Account, s.Rates)
		}
		if lost := w.snapshot().Totals.Lost; lost != 110 {
			t.Errorf("set by %v: %d lost", jump, lost)
		}
		past := uint64(0)
		for _, n := range s.Rates.InPast {
			past += n
		}
		if past < 660 {
			t.Errorf("set by %v: %d in the past", jump, past)
		}
		w.tell("pbx1", "buffers", buffers(2000, 1890, dropped("overflow", 110)))
		sofar += 20 * time.Second
		pass(jump)
		if s := w.of("pbx1"); s.State != StateUnknown {
			t.Errorf("set by %v: silent for 25 s, and %s", jump, s.Word)
		}
	}
}
