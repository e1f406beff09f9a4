package integration

import (
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/realasterisk"
)

// relay is a way to a server that can be cut.
type relay struct {
	addr string
	mu   sync.Mutex
	open []net.Conn
	shut bool
}

// cut closes every connection.
func (r *relay) cut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.open {
		c.Close()
	}
	r.open = nil
}

func startRelay(t *testing.T, target string) *relay {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{addr: listener.Addr().String()}
	var group sync.WaitGroup
	group.Go(func() {
		for {
			in, err := listener.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", target)
			if err != nil {
				in.Close()
				continue
			}
			if !r.takes(in, out) {
				in.Close()
				out.Close()
				continue
			}
			pipe := func(to, from net.Conn) {
				_, _ = io.Copy(to, from)
				to.Close()
				from.Close()
			}
			group.Go(func() { pipe(in, out) })
			group.Go(func() { pipe(out, in) })
		}
	})
	t.Cleanup(func() { listener.Close(); r.cut(); group.Wait() })
	return r
}

// A real Asterisk that was restarted is told from a connection that was cut.
func TestReal_GapTellsARestart(t *testing.T) {
	realasterisk.Each(t, func(t *testing.T, a *realasterisk.Instance) {
		if !a.OwnConfiguration() {
			t.Skip("an Asterisk given by its address is not ours to restart")
		}
		way := startRelay(t, a.Addr())
		s := server("pbx1", way.addr, a.User().Name, a.User().Secret)
		s.BreakerFailures = 1000
		r := startBridge(t, natsURL(t), func(c *config.Config) { c.StatusInterval = time.Second }, s)
		gaps := r.subscribe("ami.status.pbx1.gap")
		states := r.subscribe("ami.status.pbx1.connection")
		// One that is cut before it has said its uptime cannot be told either.
		eventually(t, "FullyBooted", func() bool { return r.metric("events_received_total") > 0 })
		way.cut()
		if gap := r.next(gaps); !strings.Contains(string(gap.Data), `"restarted":false`) {
			t.Errorf("a cut connection: %s", gap.Data)
		}
		r.awaitText(states, `"sessions":{"action":"up","event":"up"}`)
		// Asterisk counts its uptime in whole seconds: one that lived for less
		// cannot be told from the next.
		r.awaitText(r.subscribe("ami.nodes.b1"), `"uptime_s":4`)
		if err := a.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		if gap := r.next(gaps); !strings.Contains(string(gap.Data), `"restarted":true`) {
			t.Errorf("a restart: %s", gap.Data)
		}
	})
}
