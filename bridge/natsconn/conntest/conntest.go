package conntest

import (
	"testing"

	"github.com/nats-io/nats.go"
	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/natsconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// Bare returns one that connects to nothing.
func Bare() *natsconn.Conn {
	return natsconn.New(natsconn.Options{Name: "test", Config: &config.Config{Node: "test"}, Log: zap.NewNop()})
}

// Open returns one that is connected to the server at url, and closed with the
// test. It does not run.
func Open(t *testing.T, url string, own ...nats.Option) *natsconn.Conn {
	t.Helper()
	cfg := config.DefaultConfig()
	cfg.Node, cfg.NATS.URL = "test", url
	c := natsconn.New(natsconn.Options{Name: "test", Config: &cfg, Login: natsconn.NewLogin(cfg.NATS, nil, nil), Own: own, Log: zap.NewNop()})
	if err := c.Open(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Get().Close() })
	// Its handler comes after the connection.
	natstest.Within(t, "the connection", func() bool { return c.Up() && c.Connected() > 0 })
	return c
}
