package harness

import (
	"cmp"
	"context"
	"encoding/json"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/setting"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
)

// Running is a bridge under test with a client of its NATS.
type Running struct {
	Bridge  *bridge.Bridge
	T       testing.TB
	Config  config.Config
	Client  *nats.Conn
	Metrics *prometheus.Registry // the bridge's metrics
	Stop    func() error         // ends the bridge and returns what Run returned; once

	ended <-chan struct{}
}

// Server is the configuration of one Asterisk.
func Server(name, addr, user, secret string) config.ServerConfig {
	s := config.DefaultServerConfig()
	s.Name, s.Addr, s.Username, s.Secret = name, addr, user, setting.Secret(secret)
	s.PingInterval = time.Second
	s.ConnectTimeout, s.LoginTimeout = Patience, Patience // a session that is lost at the start ends the test
	return s
}

// Bridge runs a bridge of servers until the test ends, and returns when
// every session is up.
func Bridge(t testing.TB, url string, change func(*config.Config), servers ...config.ServerConfig) *Running {
	t.Helper()
	return BridgeLogging(t, zap.NewNop(), url, change, servers...)
}

// BridgeLogging is Bridge with a logger.
func BridgeLogging(t testing.TB, log *zap.Logger, url string, change func(*config.Config), servers ...config.ServerConfig) *Running {
	t.Helper()
	cfg := config.DefaultConfig()
	cfg.Node, cfg.HTTPAddr, cfg.NATS.URL, cfg.Servers = "b1", "", url, servers
	cfg.ShutdownTimeout = 2 * Patience
	if change != nil {
		change(&cfg)
	}
	return BridgeFor(t, log, Client(t, url), cfg)
}

// BridgeFor is BridgeLogging of a bridge with all of cfg, whose states nc reads.
func BridgeFor(t testing.TB, log *zap.Logger, nc *nats.Conn, cfg config.Config) *Running {
	t.Helper()
	r := &Running{T: t, Config: cfg, Client: nc}
	states := r.Subscribe("ami.status.*.connection")
	defer func() { _ = states.Unsubscribe() }() // else it holds all that nobody reads
	r.run(log)
	up := 0
	for _, s := range cfg.Servers {
		up += s.Sessions + s.ActionSessions - 1
	}
	for up > 0 {
		msg := r.Next(states)
		var state struct{ To, Error string }
		if err := json.Unmarshal(msg.Data, &state); err != nil {
			t.Fatal(err)
		}
		if state.To == "waiting" {
			t.Fatalf("%s: %s", msg.Subject, msg.Data)
		}
		if state.To == "up" {
			up--
		}
	}
	r.awaitReady()
	if _, ok := t.(*testing.T); ok { // a benchmark is not to be disturbed
		r.While(100*time.Millisecond, r.holds)
	}
	return r
}

// Run runs a bridge with all of cfg until the test ends, and returns when it is
// ready, be its sessions up or not. It is not watched, and has no client.
func Run(t testing.TB, log *zap.Logger, cfg config.Config) *Running {
	t.Helper()
	r := &Running{T: t, Config: cfg}
	r.run(log)
	r.awaitReady()
	return r
}

// run starts the bridge. It is ended by Stop, at the latest with the test.
func (r *Running) run(log *zap.Logger) {
	r.T.Helper()
	r.Metrics = prometheus.NewRegistry()
	// Once is enough but for the tests of just that: it asks by direct gets, in which
	// nats-server 2.15.2 races with a reload in this process.
	r.Config.BesideEvery = cmp.Or(r.Config.BesideEvery, time.Hour)
	b, err := bridge.New(r.Config, bridge.Deps{Logger: log, Registerer: r.Metrics, Version: "0.0.0"})
	if err != nil {
		r.T.Fatal(err)
	}
	r.Bridge = b
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	r.ended = ended
	var runErr error
	go func() { defer close(ended); runErr = b.Run(ctx) }()
	r.Stop = sync.OnceValue(func() error { cancel(); <-ended; return runErr })
	r.T.Cleanup(func() {
		if err := r.Stop(); err != nil {
			r.T.Errorf("the bridge ended with: %v", err)
		}
	})
}

func (r *Running) awaitReady() {
	r.T.Helper()
	select {
	case <-r.Bridge.Ready():
	case <-r.ended:
		r.T.Fatal("the bridge ended before it was ready")
	case <-time.After(Patience):
		r.T.Fatal("the bridge is not ready")
	}
}

// While has do run again and again, about each interval, until it returns false or
// the bridge has ended, and then once more.
func (r *Running) While(interval time.Duration, do func() bool) {
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	group.Go(func() {
		ticker := time.NewTicker(interval)
		defer ticker.Stop()
		for do() {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
		}
	})
	end := r.Stop
	r.Stop = sync.OnceValue(func() error {
		err := end()
		cancel()
		group.Wait()
		do()
		return err
	})
}

// SimBridge is a bridge to one simulated Asterisk.
func SimBridge(t *testing.T, cfg amisim.Config, change func(*config.ServerConfig)) (*amisim.Server, *Running) {
	t.Helper()
	sim, addr := Sim(t, cfg)
	s := Server("pbx1", addr, "bridge", "s3cret")
	if change != nil {
		change(&s)
	}
	return sim, Bridge(t, NATS(t), nil, s)
}

// ChaosServer is a server that is kicked more often than a breaker would bear, and
// has time on a slow machine.
func ChaosServer(name, addr string) config.ServerConfig {
	s := Server(name, addr, "bridge", "s3cret")
	s.BackoffMin, s.BackoffMax = 20*time.Millisecond, 200*time.Millisecond
	s.BreakerFailures = 1_000_000
	s.ReadTimeout, s.ActionTimeout = 5*time.Minute, 100*time.Second
	return s
}

// ChaosConfig has the counters told often.
func ChaosConfig(c *config.Config) {
	c.StatusInterval = 100 * time.Millisecond
	c.ActionsAllow = setting.Globs{"Command"}
}

// NoState has the bridge ask for no lists by itself: a test that counts the Actions which
// these take, or says how the next is answered, would have them counted and answered.
func NoState(s *config.ServerConfig) { s.State = nil }

// ChaosBridge is a bridge to pbx1, which sends no events of its own; it has NoState.
func ChaosBridge(t *testing.T, cfg amisim.Config, change func(*config.ServerConfig)) (*amisim.Server, *Running) {
	t.Helper()
	cfg.NotBooted = true
	sim, addr := Sim(t, cfg)
	s := ChaosServer("pbx1", addr)
	NoState(&s)
	if change != nil {
		change(&s)
	}
	return sim, Bridge(t, NATS(t), ChaosConfig, s)
}

// AsBridge has a bridge log in at NATS as the user bridge.
func AsBridge(c *config.Config) { c.NATS.User, c.NATS.Password = "bridge", "b" }
