package bridge

import (
	"context"
	"fmt"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/setting"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/natstest"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/journal/journaltest"
)

// asking is a Bridge that runs, with a simulated Asterisk for each of its
// servers, and a caller of its.
type asking struct {
	*Bridge
	t    *testing.T
	sims map[string]*amisim.Server
	nc   *nats.Conn
	stop func() // the bridge
	// unstored has the records of one that does not run.
	unstored *journaltest.Fake
}

// askingBridge runs a Bridge of servers with these names, pbx1 if there are
// none, until the test ends.
func askingBridge(t *testing.T, change func(*config.Config), names ...string) *asking {
	t.Helper()
	return askingAt(t, natstest.Start(t, t.TempDir(), 0).ClientURL(), change, names...)
}

func askingAt(t *testing.T, url string, change func(*config.Config), names ...string) *asking {
	t.Helper()
	return askingAs(t, url, change, Deps{}, func(*Bridge) {}, names...)
}

// askingAs is askingAt, of a Bridge with deps that made changes before it runs.
func askingAs(t *testing.T, url string, change func(*config.Config), deps Deps, made func(*Bridge), names ...string) *asking {
	t.Helper()
	cfg := config.DefaultConfig()
	cfg.Node, cfg.HTTPAddr, cfg.NATS.URL, cfg.ShutdownTimeout = "b1", "", url, time.Second
	cfg.StatusInterval, cfg.IdempotencyWindow = 100*time.Millisecond, 10*natstest.Patience
	a := &asking{t: t, sims: make(map[string]*amisim.Server)}
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	t.Cleanup(func() { cancel(); group.Wait() })
	if len(names) == 0 {
		names = []string{"pbx1"}
	}
	for _, name := range names {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		sim := amisim.New(amisim.Config{Users: map[string]string{"u": "s3cret"}, NotBooted: true, WriteTimeout: natstest.Patience})
		group.Go(func() { _ = sim.Serve(ctx, listener) })
		server := config.DefaultServerConfig()
		server.Name, server.Addr, server.Username, server.Secret = name, listener.Addr().String(), "u", setting.Secret("s3cret")
		server.ActionTimeout = 5 * natstest.Patience // what is to wait does, on a slow machine too
		cfg.Servers = append(cfg.Servers, server)
		a.sims[name] = sim
	}
	if change != nil {
		change(&cfg)
	}
	b, err := New(cfg, deps)
	if err != nil {
		t.Fatal(err)
	}
	a.Bridge = b
	made(b)
	var ran sync.WaitGroup
	runCtx, stop := context.WithCancel(context.Background())
	ran.Go(func() { _ = b.Run(runCtx) })
	a.stop = func() { stop(); ran.Wait() }
	t.Cleanup(a.stop)
	select {
	case <-b.Ready():
	case <-time.After(natstest.Patience):
		t.Fatal("the bridge is not ready")
	}
	for _, s := range b.servers {
		if s.cfg.Addr != "127.0.0.1:1" { // where nobody is
			natstest.Within(t, s.cfg.Name, s.link.Ready)
		}
	}
	a.nc, _ = natstest.Client(t, url)
	return a
}

// request is one for an Action of a server, as nats.go hands it over.
func requestFor(server, action, body string, headers ...string) *nats.Msg {
	m := &nats.Msg{Subject: "ami.actions." + server + "." + action, Reply: "_INBOX.test." + action, Data: []byte(body)}
	for i := 0; i+1 < len(headers); i += 2 {
		if m.Header == nil {
			m.Header = nats.Header{}
		}
		m.Header[headers[i]] = append(m.Header[headers[i]], headers[i+1])
	}
	return m
}

// to hands m to its endpoint.
func (a *asking) to(m *nats.Msg) {
	a.t.Helper()
	for _, e := range a.endpoints {
		if strings.HasPrefix(m.Subject, "ami.actions."+e.name+".") {
			e.onRequest(m)
			return
		}
	}
	a.t.Fatalf("nobody serves %s", m.Subject)
}

// heap is what is in use once garbage is collected.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// A request that waits for Asterisk holds neither its body, nor its headers, nor
// what NATS had them in.
func TestRequests_PendingOnesAreSmall(t *testing.T) {
	blanks := strings.Repeat(" ", 240<<10)
	// nats.go cuts all names and values out of one text.
	block := func(name string, n int) (string, string) {
		text := fmt.Sprintf("%s: %d", name, n) + blanks
		return text[:len(name)], text[len(name)+2 : len(text)-len(blanks)]
	}
	for name, test := range map[string]struct {
		pending int
		request func(int) *nats.Msg
	}{
		"a large body": {1500, func(n int) *nats.Msg { return requestFor("pbx1", "CoreStatus", fmt.Sprintf(`{"N":%d%s}`, n, blanks)) }},
		"a large requester": {1500, func(n int) *nats.Msg {
			name, value := block("Ami-Requester", n)
			return requestFor("pbx1", "CoreStatus", "", name, value)
		}},
		"a large key": {1500, func(n int) *nats.Msg {
			name, value := block("Ami-Idempotency-Key", n)
			return requestFor("pbx1", "CoreStatus", "", name, value)
		}},
		// As many as the write buffer takes at once.
		"many headers": {100, func(n int) *nats.Msg {
			return requestFor("pbx1", "CoreStatus", `{`+members(40, `"V#":"`+strings.Repeat("x", 1000)+`"`)+`}`)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			a := askingBridge(t, func(c *config.Config) { c.Delivery = config.DeliverCore })
			a.sims["pbx1"].Always("CoreStatus", amisim.Ignore)
			before := heap()
			for n := range test.pending {
				a.to(test.request(n))
			}
			link := a.servers[0].link
			natstest.Within(t, "all are written", func() bool {
				s := link.Status()
				return s.Calls.Pending == test.pending && s.WriteBytes == 0
			})
			if each := (heap() - before) / int64(test.pending); each > 24<<10 {
				t.Errorf("each of %d requests costs %d bytes", test.pending, each)
			}
		})
	}
}
