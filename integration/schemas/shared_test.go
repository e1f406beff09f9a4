package schemas

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/setting"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
)

// everySharedMessage has two bridges share a server, of which the second lets other events
// through, and returns what they said until the first has ended and the second leads. look
// sees the second's metrics while it stands by, and when it leads. What they say of one that
// is in sync integration/ha looks at.
func everySharedMessage(t *testing.T, look func(*prometheus.Registry)) (all []*nats.Msg) {
	t.Helper()
	url := harness.NATS(t)
	client := &harness.Running{T: t, Client: harness.Client(t, url)}
	var subs []*nats.Subscription
	for _, subject := range []string{"ami.status.>", "ami.nodes.>"} {
		subs = append(subs, client.Subscribe(subject))
	}
	leads, nodes := client.Subscribe("ami.status.pbx1.ha"), client.Subscribe("ami.nodes.b2")
	sim, addr := harness.Sim(t, amisim.Config{})
	start := func(name string, deny ...string) *harness.Running {
		cfg := config.DefaultConfig()
		s := harness.Server("pbx1", addr, "bridge", "s3cret")
		s.EventsDeny = setting.Globs(deny)
		cfg.Node, cfg.HTTPAddr, cfg.NATS.URL, cfg.Servers = name, "", url, []config.ServerConfig{s}
		cfg.HA, cfg.StatusInterval, cfg.ShutdownTimeout = true, 100*time.Millisecond, 2*harness.Patience
		return harness.Run(t, zap.NewNop(), cfg)
	}
	b1 := start("b1")
	client.AwaitMessage(leads, `"leader":"b1"`, `"trigger":"interval"`)
	b2 := start("b2", "Unwanted")
	client.AwaitMessage(leads, `"leader":"b1"`, `"state":"apart"`)
	client.AwaitMessage(nodes, `"stands_by":1`, `"reason":"filters"`)
	look(b2.Metrics)
	sim.Emit("Event", "Wanted")
	if err := b1.Stop(); err != nil {
		t.Fatal(err)
	}
	client.AwaitMessage(leads, `"leader":"b2"`, `"trigger":"interval"`)
	client.AwaitMessage(nodes, `"leads":1`)
	look(b2.Metrics)
	if err := b2.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := client.Client.Flush(); err != nil {
		t.Fatal(err)
	}
	for _, sub := range subs {
		all = append(all, client.Pending(sub)...)
	}
	return all
}
