package bridge

import (
	"testing"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/setting"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/natstest"
)

// testBridge returns a Bridge with one server, connected to NATS but not to
// any Asterisk.
func testBridge(t *testing.T, url string, delivery config.Delivery) *Bridge {
	t.Helper()
	cfg := config.DefaultConfig()
	cfg.NATS.URL, cfg.Delivery = url, delivery
	return connectedBridge(t, cfg, "pbx1")
}

// connectedBridge is a Bridge of servers with these names, otherwise as cfg
// says, connected to NATS but not to any Asterisk.
func connectedBridge(t *testing.T, cfg config.Config, names ...string) *Bridge {
	t.Helper()
	cfg.Node, cfg.HTTPAddr = "test", ""
	for _, name := range names {
		server := config.DefaultServerConfig()
		server.Name, server.Addr, server.Username, server.Secret = name, "127.0.0.1:1", "u", setting.Secret("s")
		cfg.Servers = append(cfg.Servers, server)
	}
	b, err := New(cfg, Deps{})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.connectAll(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.events.Get().Close(); b.control.Get().Close() })
	if err := b.await(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := b.prepareStreams(t.Context()); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(natstest.Patience); !b.streams.Well(); b.streams.Check(t.Context()) { // or run does
		if time.Now().After(deadline) {
			t.Fatalf("the streams: %+v", b.streams.States())
		}
	}
	return b
}
