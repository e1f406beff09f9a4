//go:build unix

package integration

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/setting"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
)

// place is where a nats-server runs, from one start to the next.
type place struct {
	t      *testing.T
	port   int
	store  string
	server *natsserver.Server
}

func newPlace(t *testing.T) *place {
	t.Helper()
	p := &place{t: t, port: reservePort(t), store: t.TempDir()}
	t.Cleanup(func() {
		if p.server != nil {
			p.stop()
		}
	})
	return p
}

func (p *place) start(change func(*natsserver.Options)) {
	p.t.Helper()
	options := &natsserver.Options{
		Host: "127.0.0.1", Port: p.port, JetStream: true, StoreDir: p.store, NoSigs: true, NoLog: true,
		AuthTimeout: patience.Seconds(), TLSTimeout: patience.Seconds(),
		LameDuckDuration: 3 * time.Second, LameDuckGracePeriod: 2 * time.Second,
	}
	if change != nil {
		change(options)
	}
	var err error
	if p.server, err = natsserver.NewServer(options); err != nil {
		p.t.Fatal(err)
	}
	p.server.Start()
	if !p.server.ReadyForConnections(patience) {
		p.t.Fatal("nats-server is not ready")
	}
}

func (p *place) stop() {
	p.server.Shutdown()
	p.server.WaitForShutdown()
}

func (p *place) url() string { return "nats://127.0.0.1:" + strconv.Itoa(p.port) }

// startAt is a bridge to pbx1 that knows only the server at p, and a reader at
// another.
func startAt(t *testing.T, p *place, change func(*config.Config), reader *place, opts ...nats.Option) *ruled {
	t.Helper()
	nc, err := nats.Connect(reader.url(), append(opts, nats.MaxReconnects(-1), nats.ReconnectWait(100*time.Millisecond))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	r := &ruled{server: p.server}
	var addr string
	r.sim, addr = startSim(t, amisim.Config{NotBooted: true})
	cfg := config.DefaultConfig()
	chaosConfig(&cfg)
	cfg.Node, cfg.HTTPAddr, cfg.NATS.URL = "b1", freeAddr(t), p.url()
	cfg.Servers = []config.ServerConfig{chaosServer("pbx1", addr)}
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
	p := newPlace(t)
	p.start(nil)
	r := startAt(t, p, nil, p)
	r.works()
	p.server.LameDuckShutdown()
	r.sim.Emit("Event", "Held")
	r.readyzIs(503)
	<-time.After(3 * time.Second)
	p.start(nil)
	r.works()
	r.whole(t, 3)
}

// The bridge's own server of two goes as a lame duck: it is told the other by the
// first, and is answered there. What had its only copy on the first waits.
func TestConns_LameDuckInACluster(t *testing.T) {
	t.Parallel()
	first, second := newPlace(t), newPlace(t)
	routes := map[*place]int{first: reservePort(t), second: reservePort(t)}
	start := func(p, other *place) {
		p.start(func(o *natsserver.Options) {
			o.ServerName, o.Cluster.Name = fmt.Sprint("n", p.port), "two"
			o.Cluster.Host, o.Cluster.Port = "127.0.0.1", routes[p]
			o.Routes = []*url.URL{{Scheme: "nats", Host: fmt.Sprint("127.0.0.1:", routes[other])}}
		})
	}
	start(first, second)
	start(second, first)
	eventually(t, "JetStream has a leader", func() bool { return first.server.JetStreamIsLeader() || second.server.JetStreamIsLeader() })
	r := startAt(t, first, nil, second)
	r.works()
	var group sync.WaitGroup
	defer group.Wait()
	group.Go(first.server.LameDuckShutdown)
	eventually(t, "both connections are at the other server", func() bool { return len(ownConns(t, second.server)) == 2 })
	r.sim.Emit("Event", "Held")
	r.readyzIs(200)
	eventually(t, "an Action is answered", func() bool {
		_, err := r.nc.Request("ami.actions.pbx1.CoreStatus", nil, answerIn)
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
	p := newPlace(t)
	p.start(func(o *natsserver.Options) { o.MaxPending, o.WriteDeadline = 1<<20, time.Second })
	front := startSaying(t, fmt.Sprint("127.0.0.1:", p.port))
	r := startAt(t, p, func(c *config.Config) { c.NATS.URL = "nats://" + front.addr }, p)
	r.works()
	slow := p.server.NumSlowConsumers()
	func() {
		front.mu.Lock() // the bridge hears nothing
		defer front.mu.Unlock()
		r.sim.Emit("Event", "Held")
		// Without an inbox to answer to, each would be an Action that nobody hears of.
		request := &nats.Msg{Subject: "ami.actions.pbx1.CoreStatus", Reply: "_INBOX.nobody.x", Data: make([]byte, 64<<10)}
		eventually(t, "the server takes the bridge for slow", func() bool {
			if err := r.nc.PublishMsg(request); err != nil {
				t.Error(err)
			}
			return p.server.NumSlowConsumers() > slow
		})
	}()
	r.works()
	r.whole(t, 3)
}

// A server that wants TLS first, then does not any more, and does again: the log
// says what to set.
func TestConns_TLSFirstGoneAndBack(t *testing.T) {
	a := newAuthority(t)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, a.pem, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, first := range []bool{true, false} {
		t.Run(fmt.Sprint(first), func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			start := func(first bool) {
				p.start(func(o *natsserver.Options) { o.TLSConfig, o.TLS, o.TLSHandshakeFirst = a.server(t), true, first })
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
			p.stop()
			start(!first)
			r.sim.Emit("Event", "Held")
			r.logged("nats not reached", "BRIDGE_NATS_TLS_FIRST="+map[bool]string{false: "on", true: "off"}[first])
			r.readyzIs(503)
			p.stop()
			start(first)
			r.works()
			r.whole(t, 3)
		})
	}
}
