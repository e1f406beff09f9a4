package bridge

import (
	"testing"

	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/natstest"
)

// bareConn returns one that connects to nothing.
func bareConn() *conn {
	return newConn(connOptions{name: "test", cfg: &config.Config{Node: "test"}, log: zap.NewNop()})
}

// openConn returns one that is connected to the server at url, and closed with the
// test. It does not run.
func openConn(t *testing.T, url string) *conn {
	t.Helper()
	cfg := config.DefaultConfig()
	cfg.Node, cfg.NATS.URL = "test", url
	c := newConn(connOptions{name: "test", cfg: &cfg, login: newNATSLogin(cfg.NATS, nil, nil), log: zap.NewNop()})
	if err := c.open(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.get().Close() })
	// Its handler comes after the connection.
	natstest.Within(t, "the connection", func() bool { return c.up() && c.connected() > 0 })
	return c
}
