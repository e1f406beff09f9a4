package status

import (
	"testing"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/outbox/outboxtest"
)

// What waits and does not move is told, since the interval in which nothing was stored; also
// while more comes, and while the oldest is dropped. Idle is not stalled.
func TestStall_SinceNothingWasStored(t *testing.T) {
	s := testServer(t)
	now := time.Now()
	for i, step := range []struct {
		do   func()
		want float64 // 0: it moves
	}{
		{func() {}, 0},
		{func() { s.outbox.Push(outboxtest.Entry(1), []byte("x"), false) }, 0},
		{func() { s.outbox.Push(outboxtest.Entry(2), []byte("x"), false) }, 5},
		{func() { s.outbox.Take(nil) }, 10},
		{func() { s.outbox.Rewind(nil, nil) }, 15},
		{func() { s.outbox.Take(nil); s.outbox.Ack() }, 0},
		{func() {}, 5},
		{func() { s.outbox.Take(nil); s.outbox.Ack() }, 0},
		{func() {}, 0},
	} {
		step.do()
		s.Tick(now, new(amiconn.Status))
		m := s.buffers(now, new(amiconn.Status))
		if m.StalledS != step.want {
			t.Errorf("step %d: %v, want %v", i, m.StalledS, step.want)
		}
		now = now.Add(5 * time.Second)
	}
}
