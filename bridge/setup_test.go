package bridge

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/setting"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
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
	return connectedWith(t, cfg, Deps{}, names...)
}

// connectedWith is connectedBridge with deps.
func connectedWith(t *testing.T, cfg config.Config, deps Deps, names ...string) *Bridge {
	t.Helper()
	cfg.Node, cfg.HTTPAddr = "test", ""
	for _, name := range names {
		server := config.DefaultServerConfig()
		server.Name, server.Addr, server.Username, server.Secret = name, "127.0.0.1:1", "u", setting.Secret("s")
		cfg.Servers = append(cfg.Servers, server)
	}
	b, err := New(cfg, deps)
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

// statuses are the messages that b publishes of its state, in order.
type statuses struct {
	t   *testing.T
	b   *Bridge
	nc  *nats.Conn
	sub *nats.Subscription
	all []*nats.Msg
}

func statusesOf(t *testing.T, b *Bridge) *statuses {
	t.Helper()
	nc, _ := natstest.Client(t, b.cfg.NATS.URL)
	s := &statuses{t: t, b: b, nc: nc}
	var err error
	if s.sub, err = nc.SubscribeSync("ami.>"); err == nil {
		err = nc.Flush()
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// told returns those on subjects that end so, as JSON objects.
func (s *statuses) told(what string) (all []map[string]any) {
	s.t.Helper()
	s.b.status.Flush()
	err := errors.Join(s.b.control.Get().Flush(), s.nc.Flush())
	for n, _, _ := s.sub.Pending(); n > 0 && err == nil; n-- {
		var m *nats.Msg
		m, err = s.sub.NextMsg(natstest.Patience)
		s.all = append(s.all, m)
	}
	for _, m := range s.all {
		if err == nil && strings.HasSuffix(m.Subject, what) {
			var body map[string]any
			err = json.Unmarshal(m.Data, &body)
			all = append(all, body)
		}
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return all
}
