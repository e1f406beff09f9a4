//go:build unix

package conns

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/setting"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/longtest"
)

// startAt is a bridge to pbx1 that knows only the server at p, and a reader at
// another.
func startAt(t *testing.T, p *harness.Place, change func(*config.Config), reader *harness.Place, opts ...nats.Option) *ruled {
	t.Helper()
	nc, err := nats.Connect(reader.URL(), append(opts, nats.MaxReconnects(-1), nats.ReconnectWait(100*time.Millisecond), nats.Timeout(harness.Patience))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	r := &ruled{server: p.Server}
	var addr string
	r.sim, addr = harness.Sim(t, amisim.Config{NotBooted: true})
	cfg := config.DefaultConfig()
	harness.ChaosConfig(&cfg)
	cfg.Node, cfg.HTTPAddr, cfg.NATS.URL = "b1", harness.Addr(t), p.URL()
	cfg.Servers = []config.ServerConfig{harness.ChaosServer("pbx1", addr)}
	if change != nil {
		change(&cfg)
	}
	r.run(t, nc, cfg)
	return r
}

// A server that goes as a lame duck, and is started again. It keeps the
// connections for a while, without JetStream.
func TestConns_LameDuckAlone(t *testing.T) {
	t.Parallel()
	p := harness.NewPlace(t)
	start := func() {
		p.Start(func(o *natsserver.Options) { o.LameDuckDuration, o.LameDuckGracePeriod = time.Second, time.Second/2 })
	}
	start()
	r := startAt(t, p, nil, p)
	r.works()
	p.Server.LameDuckShutdown()
	r.sim.Emit("Event", "Held")
	r.readyzIs(503)
	<-time.After(2 * time.Second)
	start()
	r.works()
	r.whole(t, 3)
}

// The bridge's own server of two goes as a lame duck: it is told the other by the
// first, and is answered there. What had its only copy on the first waits.
func TestConns_LameDuckInACluster(t *testing.T) {
	longtest.Mark(t, "a server is a lame duck for three seconds, and a cluster elects")
	t.Parallel()
	first, second := harness.NewPlace(t), harness.NewPlace(t)
	routes := map[*harness.Place]int{first: harness.Port(t), second: harness.Port(t)}
	start := func(p, other *harness.Place) {
		p.Start(func(o *natsserver.Options) {
			o.ServerName, o.Cluster.Name = fmt.Sprint("n", p.Port), "two"
			o.Cluster.Host, o.Cluster.Port = "127.0.0.1", routes[p]
			o.Routes = []*url.URL{{Scheme: "nats", Host: fmt.Sprint("127.0.0.1:", routes[other])}}
		})
	}
	start(first, second)
	start(second, first)
	harness.Eventually(t, "JetStream has a leader", func() bool { return first.Server.JetStreamIsLeader() || second.Server.JetStreamIsLeader() })
	r := startAt(t, first, nil, second)
	r.works()
	var group sync.WaitGroup
	defer group.Wait()
	group.Go(first.Server.LameDuckShutdown)
	harness.Eventually(t, "both connections are at the other server", func() bool { return len(harness.OwnConns(t, second.Server)) == 2 })
	r.sim.Emit("Event", "Held")
	r.readyzIs(200)
	harness.Eventually(t, "an Action is answered", func() bool {
		_, err := r.Client.Request("ami.actions.pbx1.CoreStatus", nil, harness.AnswerIn)
		return err == nil
	})
	group.Wait()
	<-time.After(3 * time.Second)
	start(first, second)
	r.works()
	r.whole(t, 3)
}

// A bridge that does not read for a while is a slow consumer to the server, which
// cuts it off.
func TestConns_SlowConsumerOfTheServer(t *testing.T) {
	t.Parallel()
	p := harness.NewPlace(t)
	p.Start(func(o *natsserver.Options) { o.MaxPending, o.WriteDeadline = 1<<20, time.Second })
	front := startSaying(t, fmt.Sprint("127.0.0.1:", p.Port))
	r := startAt(t, p, func(c *config.Config) { c.NATS.URL = "nats://" + front.addr }, p)
	r.works()
	slow := p.Server.NumSlowConsumers()
	func() {
		front.mu.Lock() // the bridge hears nothing
		defer front.mu.Unlock()
		r.sim.Emit("Event", "Held")
		// Without an inbox to answer to, each would be an Action that nobody hears of.
		request := &nats.Msg{Subject: "ami.actions.pbx1.CoreStatus", Reply: "_INBOX.nobody.x", Data: make([]byte, 64<<10)}
		harness.Eventually(t, "the server takes the bridge for slow", func() bool {
			if err := r.Client.PublishMsg(request); err != nil {
				t.Error(err)
			}
			return p.Server.NumSlowConsumers() > slow
		})
	}()
	r.works()
	r.whole(t, 3)
}

// A server that wants TLS first, then does not any more, and does again: the log
// says what to set.
func TestConns_TLSFirstGoneAndBack(t *testing.T) {
	t.Parallel()
	a := harness.NewAuthority(t)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, a.PEM, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, first := range []bool{true, false} {
		t.Run(fmt.Sprint(first), func(t *testing.T) {
			t.Parallel()
			p := harness.NewPlace(t)
			start := func(first bool) {
				p.Start(func(o *natsserver.Options) { o.TLSConfig, o.TLS, o.TLSHandshakeFirst = a.Server(t), true, first })
			}
			start(first)
			reads := []nats.Option{nats.RootCAs(ca)}
			if first {
				reads = append(reads, nats.TLSHandshakeFirst())
			}
			r := startAt(t, p, func(c *config.Config) {
				c.NATS.TLSCaFile, c.NATS.TLSFirst = ca, setting.Switch(first)
			}, p, reads...)
			r.works()
			p.Stop()
			start(!first)
			r.sim.Emit("Event", "Held")
			r.logged("nats not reached", "BRIDGE_NATS_TLS_FIRST="+map[bool]string{false: "on", true: "off"}[first])
			r.readyzIs(503)
			p.Stop()
			start(first)
			r.works()
			r.whole(t, 3)
		})
	}
}
