package natsconn

import (
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/clocktest"
)

// A payload that has shown to be too large is so for RenewEvery, whatever the wall clock is set
// to: else each event of that size would be dropped until the clock is there again.
func TestClock_SetWhileAPayloadIsTooLarge(t *testing.T) {
	for _, jump := range clocktest.Jumps {
		c := New(Options{Config: &config.Config{}, Log: zap.NewNop()})
		l := new(Link)
		l.largest.Store(5000)
		c.learn(l)
		now := time.Now()
		if c.limitAt(clocktest.Set(t, now, jump)) != 5000 {
			t.Errorf("set by %v: not known any more", jump)
		}
		if c.limitAt(clocktest.Set(t, now.Add(RenewEvery), jump)) != 0 {
			t.Errorf("set by %v: known for ever", jump)
		}
	}
}
