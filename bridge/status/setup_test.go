package status

import (
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/subject"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/natsconn/conntest"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/outbox"
)

// testServer is that of pbx1, with two sessions, whose messages nobody
// publishes.
func testServer(t *testing.T) *Server {
	t.Helper()
	cfg := config.DefaultServerConfig()
	cfg.Name = "pbx1"
	subjects := subject.New("ami", cfg.Name)
	box := outbox.New(int(cfg.OutboxBytes), subjects.Gap(), outbox.NewBudget(1<<30, 1), func() {})
	box.SetLastBefore(time.Time{})
	s := NewServer("b1", &cfg, subjects, box, NewPublisher(conntest.Bare(), func(string, []byte) {}, zap.NewNop()), zap.NewNop())
	s.Follow(&cfg, []amiconn.SessionStatus{{Name: "event", Role: amiconn.RoleEvents}, {Name: "action", Role: amiconn.RoleActions}})
	return s
}
