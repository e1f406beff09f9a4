package integration

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/setting"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
)

// patience is how long a test waits for what has to come. The machine may be
// busy with other things.
const patience = time.Minute

// running is a bridge under test with a client of its NATS.
type running struct {
	bridge *bridge.Bridge
	t      testing.TB
	cfg    config.Config
	nc     *nats.Conn
	seen   *prometheus.Registry // the bridge's metrics
	stop   func() error         // ends the bridge and returns what Run returned; once
}

// natsURL starts a nats-server with JetStream and returns its address.
func natsURL(t testing.TB) string {
	t.Helper()
	return natsInProcess(t, nil).ClientURL()
}

// natsInProcess is a nats-server whose options change may change; nil: none.
func natsInProcess(t testing.TB, change func(*natsserver.Options)) *natsserver.Server {
	t.Helper()
	options := natsserver.Options{
		Host: "127.0.0.1", Port: natsserver.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), NoSigs: true, NoLog: true,
		AuthTimeout: patience.Seconds(),
	}
	if change != nil {
		change(&options)
	}
	s, err := natsserver.NewServer(&options)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(patience) {
		t.Fatal("nats-server is not ready")
	}
	return s
}

// connect returns a client of the server at url.
func connect(t testing.TB, url string) *nats.Conn {
	t.Helper()
	nc, err := nats.Connect(url, nats.Timeout(patience))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

// server is the configuration of one Asterisk.
func server(name, addr, user, secret string) config.ServerConfig {
	s := config.DefaultServerConfig()
	s.Name, s.Addr, s.Username, s.Secret = name, addr, user, setting.Secret(secret)
	s.PingInterval = time.Second
	s.ConnectTimeout, s.LoginTimeout = patience, patience // a session that is lost at the start ends the test
	return s
}

// startBridge runs a bridge of servers until the test ends, and returns when
// every session is up.
func startBridge(t testing.TB, url string, change func(*config.Config), servers ...config.ServerConfig) *running {
	t.Helper()
	return startLogging(t, zap.NewNop(), url, change, servers...)
}

// startLogging is startBridge with a logger.
func startLogging(t testing.TB, log *zap.Logger, url string, change func(*config.Config), servers ...config.ServerConfig) *running {
	t.Helper()
	cfg := config.DefaultConfig()
	cfg.Node, cfg.HTTPAddr, cfg.NATS.URL, cfg.Servers = "b1", "", url, servers
	cfg.ShutdownTimeout = 2 * patience
	if change != nil {
		change(&cfg)
	}
	return startFor(t, log, connect(t, url), cfg)
}

// startFor is startLogging of a bridge with all of cfg, whose states nc reads.
func startFor(t testing.TB, log *zap.Logger, nc *nats.Conn, cfg config.Config) *running {
	t.Helper()
	r := &running{t: t, cfg: cfg, nc: nc, seen: prometheus.NewRegistry()}
	states := r.subscribe("ami.status.*.connection")
	b, err := bridge.New(cfg, bridge.Deps{Logger: log, Registerer: r.seen, Version: "0.0.0"})
	if err != nil {
		t.Fatal(err)
	}
	r.bridge = b
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	var runErr error
	group.Go(func() { runErr = b.Run(ctx) })
	unwatch := func() {}
	r.stop = sync.OnceValue(func() error { cancel(); group.Wait(); unwatch(); return runErr })
	t.Cleanup(func() {
		if err := r.stop(); err != nil {
			t.Errorf("the bridge ended with: %v", err)
		}
	})
	up := 0
	for _, s := range cfg.Servers {
		up += s.Sessions + s.ActionSessions - 1
	}
	for up > 0 {
		msg := r.next(states)
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
	select {
	case <-b.Ready():
	case <-time.After(patience):
		t.Fatal("the bridge is not ready")
	}
	if _, ok := t.(*testing.T); ok { // a benchmark is not to be disturbed
		unwatch = r.watch()
	}
	return r
}

func (r *running) subscribe(subject string) *nats.Subscription {
	r.t.Helper()
	sub, err := r.nc.SubscribeSync(subject)
	if err != nil {
		r.t.Fatal(err)
	}
	if err := sub.SetPendingLimits(-1, -1); err != nil {
		r.t.Fatal(err)
	}
	if err := r.nc.FlushTimeout(patience); err != nil {
		r.t.Fatal(err)
	}
	return sub
}

// next returns the next message, but for a state of a session or breaker that
// is told again at an interval: it is no step.
func (r *running) next(sub *nats.Subscription) *nats.Msg {
	r.t.Helper()
	for deadline := time.Now().Add(patience); ; {
		msg, err := sub.NextMsg(time.Until(deadline))
		if err != nil {
			r.t.Fatalf("%s: %v", sub.Subject, err)
		}
		if !repeats(msg) {
			return msg
		}
	}
}

func repeats(msg *nats.Msg) bool {
	return bytes.Contains(msg.Data, []byte(`"trigger":"interval","since":`))
}

// pending returns what has come.
func (r *running) pending(sub *nats.Subscription) (all []*nats.Msg) {
	r.t.Helper()
	n, _, err := sub.Pending()
	for range n {
		var msg *nats.Msg
		if msg, err = sub.NextMsg(time.Second); err != nil {
			break
		}
		all = append(all, msg)
	}
	if err != nil {
		r.t.Fatalf("%s: %v", sub.Subject, err)
	}
	return all
}

// changes returns how many have come of what next returns.
func (r *running) changes(states *nats.Subscription) int {
	r.t.Helper()
	return len(slices.DeleteFunc(r.pending(states), repeats))
}

// awaitText returns the next message that holds text.
func (r *running) awaitText(sub *nats.Subscription, text string) *nats.Msg {
	r.t.Helper()
	for deadline := time.Now().Add(patience); ; {
		msg := r.next(sub)
		if bytes.Contains(msg.Data, []byte(text)) {
			return msg
		}
		if time.Now().After(deadline) {
			r.t.Fatalf("%s: %q never came, at last %s", sub.Subject, text, msg.Data)
		}
	}
}

// reply is the body of an action's reply.
type reply struct {
	Server, Node, Action string
	ActionID             string `json:"action_id"`
	RequestID            string `json:"request_id"`
	Response, Message    string
	Fields               map[string]any
	Events               []map[string]any
	Output               []string
	Parts                int
	Masked               []string
	Error                *struct {
		Code       int
		Kind, Sent string
		Message    string
		RetryAfter int64 `json:"retry_after_ms"`
	}
	header nats.Header
}

// call asks for an action with a body and headers given as pairs.
func (r *running) call(server, action, body string, headers ...string) reply {
	r.t.Helper()
	msg := nats.NewMsg("ami.actions." + server + "." + action)
	msg.Data = []byte(body)
	for i := 0; i < len(headers); i += 2 {
		msg.Header.Set(headers[i], headers[i+1])
	}
	answer, err := r.nc.RequestMsg(msg, patience)
	if err != nil {
		r.t.Fatalf("%s: %v", msg.Subject, err)
	}
	var got reply
	if err := json.Unmarshal(answer.Data, &got); err != nil {
		r.t.Fatalf("%s: %v in %.200s", msg.Subject, err, answer.Data)
	}
	got.header = answer.Header
	return got
}

// startSim runs a simulated Asterisk on loopback until the test ends. It waits
// longer than Asterisk's 100 ms for a client that it floods: a loopback socket,
// whose buffer grows to megabytes, only takes more when a third of that is free,
// and a bridge under the race detector is not that fast.
func startSim(t testing.TB, cfg amisim.Config) (*amisim.Server, string) {
	t.Helper()
	return simBehind(t, cfg, func(l net.Listener) net.Listener { return l })
}

// simBehind is startSim behind another listener.
func simBehind(t testing.TB, cfg amisim.Config, behind func(net.Listener) net.Listener) (*amisim.Server, string) {
	t.Helper()
	if cfg.Users == nil {
		cfg.Users = map[string]string{"bridge": "s3cret"}
	}
	cfg.WriteTimeout = cmp.Or(cfg.WriteTimeout, patience)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	sim := amisim.New(cfg)
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	group.Go(func() { _ = sim.Serve(ctx, behind(listener)) })
	t.Cleanup(func() { cancel(); group.Wait() })
	return sim, listener.Addr().String()
}
