//go:build unix

package faults

import (
	"flag"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
)

var logged = flag.Bool("log", false, "write the bridge's log to standard error")

// running is a bridge in this process.
type running struct {
	*harness.Running

	mu      sync.Mutex // protects the following
	acked   float64    // events, at the last look
	since   time.Time  // that was so
	longest time.Duration
}

// bridgeConfig is that of a bridge to all at url.
func bridgeConfig(url string, all []*asterisk) config.Config {
	cfg := config.DefaultConfig()
	cfg.Node, cfg.HTTPAddr = "b1", ""
	cfg.NATS.URL, cfg.NATS.User, cfg.NATS.Password = url, "bridge", "bridge"
	cfg.Stream.MaxBytes = 0 // a node's whole store may be less than the default
	for _, a := range all {
		s := config.DefaultServerConfig()
		s.Name, s.Addr, s.Username, s.Secret = a.name, a.addr, "bridge", "s3cret"
		cfg.Servers = append(cfg.Servers, s)
	}
	return cfg
}

// startBridge runs one until the test ends.
func startBridge(t *testing.T, cfg config.Config) *running {
	t.Helper()
	log := zap.NewNop()
	if *logged {
		log, _ = zap.NewDevelopment()
	}
	r := &running{Running: harness.Run(t, log, cfg), since: time.Now()}
	r.While(50*time.Millisecond, r.look)
	return r
}

// look checks the law for each server and notes for how long nothing was
// acknowledged while something waited. False ends the looking.
func (r *running) look() (ok bool) {
	servers := r.By("server")
	var acked, open float64
	for name, m := range servers {
		if m["events_received_total"] != harness.Accounted(m) {
			r.T.Errorf("%s: the law does not hold: %v", name, m)
			return false
		}
		acked += m["events_published_total"]
		open += m["outbox_events"] + m["outbox_in_flight_events"]
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	if acked != r.acked || open == 0 {
		r.acked, r.since = acked, now
	}
	r.longest = max(r.longest, now.Sub(r.since))
	return true
}

// worst is the longest time without an acknowledgement.
func (r *running) worst() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.longest
}

// resent is how often an event was sent once more.
func (r *running) resent() (n int) {
	for _, m := range r.By("server") {
		n += int(m["events_resent_total"])
	}
	return n
}

// settle waits until every event of all was received and none is under way.
func (r *running) settle(all []*asterisk) {
	r.T.Helper()
	published, moved := 0.0, time.Now() // how long it takes in all is the machine's
	for ticker := time.NewTicker(5 * time.Millisecond); ; <-ticker.C {
		servers, settled, now := r.By("server"), true, 0.0
		for _, a := range all {
			m := servers[a.name]
			settled = settled && m["events_received_total"] >= float64(a.sent) && m["outbox_events"]+m["outbox_in_flight_events"] == 0
			now += m["events_published_total"]
		}
		if settled {
			return
		}
		if now > published {
			published, moved = now, time.Now()
		}
		if time.Since(moved) > harness.Patience {
			r.T.Fatalf("no more than %v events are acknowledged", published)
		}
	}
}
