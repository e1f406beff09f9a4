package ingest

import (
	"testing"

	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/subject"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/outbox"
)

// testSource returns what takes the events of pbx1. Its outbox waits to be told of
// the last event before this process.
func testSource(t *testing.T) *Source {
	t.Helper()
	cfg := config.DefaultServerConfig()
	cfg.Name = "pbx1"
	subjects := subject.New("ami", cfg.Name)
	box := outbox.New(int(cfg.OutboxBytes), subjects.Gap(), outbox.NewBudget(1<<30, 1), func() {})
	return New(&cfg, subjects, box, func() {}, true, false, zap.NewNop())
}
