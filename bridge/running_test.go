package bridge

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/simtest"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// running is a Bridge that runs, with a simulated Asterisk for each of its servers,
// and a client of its.
type running struct {
	*Bridge
	t    *testing.T
	sims map[string]*amisim.Server
	nc   *nats.Conn
	stop func() // the bridge; once
}

// run runs a Bridge of servers with these names, pbx1 if there are none, until the
// test ends. Before, change changes its settings and made itself; either may be nil.
func run(t *testing.T, deps Deps, change func(*config.Config), made func(*Bridge), names ...string) *running {
	t.Helper()
	cfg := config.DefaultConfig()
	cfg.Node, cfg.HTTPAddr, cfg.ShutdownTimeout = "b1", "", time.Second
	cfg.NATS.URL = natstest.Start(t, t.TempDir(), 0).ClientURL()
	cfg.StatusInterval, cfg.IdempotencyWindow = 100*time.Millisecond, 10*natstest.Patience
	if len(names) == 0 {
		names = []string{"pbx1"}
	}
	r := &running{t: t}
	r.sims, cfg.Servers = simtest.Start(t, names...)
	if change != nil {
		change(&cfg)
	}
	b, err := New(cfg, deps)
	if err != nil {
		t.Fatal(err)
	}
	r.Bridge = b
	if made != nil {
		made(b)
	}
	var ran sync.WaitGroup
	runCtx, stop := context.WithCancel(context.Background())
	ran.Go(func() { _ = b.Run(runCtx) })
	r.stop = func() { stop(); ran.Wait() }
	t.Cleanup(r.stop)
	select {
	case <-b.Ready():
	case <-time.After(natstest.Patience):
		t.Fatal("the bridge is not ready")
	}
	for _, s := range b.servers.here() {
		if s.cfg.Addr != "127.0.0.1:1" { // where nobody is
			natstest.Within(t, s.cfg.Name, s.link.Ready)
		}
	}
	r.nc, _ = natstest.Client(t, cfg.NATS.URL)
	return r
}

// ask sends requests to a server, each answered on an inbox, and returns their
// replies, in the order in which they come.
func (r *running) ask(n int, server, action, body string) (replies []*nats.Msg) {
	r.t.Helper()
	inbox := r.nc.NewInbox()
	sub, err := r.nc.SubscribeSync(inbox)
	for range n {
		if err == nil {
			err = r.nc.PublishMsg(&nats.Msg{Subject: "ami.actions." + server + "." + action, Reply: inbox, Data: []byte(body)})
		}
	}
	for range n {
		var m *nats.Msg
		if err == nil {
			m, err = sub.NextMsg(natstest.Patience)
		}
		replies = append(replies, m)
	}
	if err != nil {
		r.t.Fatal(err)
	}
	return replies
}
