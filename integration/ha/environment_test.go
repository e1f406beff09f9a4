//go:build unix

package ha

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/standby"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
)

// asOperator is a bridge as an operator starts it: the program, and the environment alone.
func asOperator(t *testing.T, program, name, nats, pbx string, more ...string) *harness.Process {
	t.Helper()
	const own = "BRIDGE_SERVER_PBX1_"
	return &harness.Process{
		T: t, Program: program, Args: []string{"run"}, Log: filepath.Join(t.TempDir(), name),
		Env: append([]string{
			"PATH=" + os.Getenv("PATH"), "BRIDGE_HA=on", "BRIDGE_NODE=" + name, "BRIDGE_NATS_URL=" + nats, "BRIDGE_HTTP_ADDR=", "BRIDGE_STREAM_MAX_BYTES=1GiB",
			"BRIDGE_SERVERS=" + server, own + "ADDR=" + pbx, own + "USERNAME=bridge", own + "SECRET=s3cret", own + "READ_TIMEOUT=5m",
		}, more...),
	}
}

// pair is two bridges of operators on one Asterisk, and what they say of it.
type pair struct {
	t       *testing.T
	nc      *nats.Conn
	bridges map[string]*harness.Process

	mu    sync.Mutex // protects the following
	heard map[string]*standby.Heartbeat
	at    map[string]time.Time
}

// newPair starts them, with a silence that a busy machine keeps no process waiting for.
func newPair(t *testing.T, pbx string) *pair {
	t.Helper()
	p := &pair{t: t, bridges: map[string]*harness.Process{}, heard: map[string]*standby.Heartbeat{}, at: map[string]time.Time{}}
	url, program := harness.NATS(t), harness.BuildBridge(t)
	p.nc = harness.Client(t, url)
	if _, err := p.nc.Subscribe("ami.ha.*", p.hear); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"b1", "b2"} {
		b := asOperator(t, program, name, url, pbx, "BRIDGE_HA_SILENCE=2s")
		p.bridges[name] = b
		t.Cleanup(func() {
			b.Kill()
			if log, _ := os.ReadFile(b.Log); t.Failed() {
				t.Logf("%s:\n%s", name, log[max(0, len(log)-8000):])
			}
		})
		if b.Start(); name == "b1" { // who starts a moment later may not hear that it leads
			harness.Eventually(t, "the first one leads", func() bool { return p.leads(name) })
		}
	}
	return p
}

func (p *pair) hear(m *nats.Msg) {
	h, err := standby.DecodeHeartbeat(m.Data)
	if err != nil {
		p.t.Error(err)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.heard[h.Node], p.at[h.Node] = h, time.Now()
}

func (p *pair) leads(name string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.heard[name] != nil && len(p.heard[name].Leads) > 0
}

// stand reports whether one leads and the other is in sync, as they said a moment ago.
func (p *pair) stand() (leader, other string, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for name := range p.bridges {
		h := p.heard[name]
		switch {
		case h == nil || time.Since(p.at[name]) > 600*time.Millisecond:
			return "", "", false
		case len(h.Leads) > 0:
			leader = name
		case len(h.Stands) > 0 && h.Stands[0].State == "in_sync":
			other = name
		}
	}
	return leader, other, leader != "" && other != ""
}

// killLeader kills the one that leads, once the other is in sync, and waits until that leads.
// meanwhile is called again and again.
func (p *pair) killLeader(meanwhile func()) (killed string) {
	p.t.Helper()
	other := ""
	harness.Eventually(p.t, "one leads, the other is in sync", func() (ok bool) {
		meanwhile()
		killed, other, ok = p.stand()
		return ok
	})
	p.bridges[killed].Kill()
	harness.Eventually(p.t, "the other one leads", func() bool {
		meanwhile()
		return p.leads(other)
	})
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.heard, killed) // what it said before
	return killed
}

// events reads the stream of events from its begin.
func (p *pair) events() (next func() jetstream.Msg) {
	p.t.Helper()
	consumer, err := harness.JetStream(p.t, p.nc).OrderedConsumer(p.t.Context(), streams.EventStream, jetstream.OrderedConsumerConfig{FilterSubjects: []string{"ami.events.>"}})
	if err != nil {
		p.t.Fatal(err)
	}
	messages, err := consumer.Messages()
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(messages.Stop)
	return func() jetstream.Msg {
		m, err := messages.Next(jetstream.NextMaxWait(harness.Patience))
		if err != nil {
			p.t.Fatal(err)
		}
		return m
	}
}

// Two bridges that the environment alone has share an Asterisk: the one that leads is killed,
// and nothing is missing, or there twice, and the numbering has no hole.
func TestProcesses_OneIsKilled(t *testing.T) {
	t.Parallel()
	sim, addr := harness.Sim(t, amisim.Config{NotBooted: true})
	p := newPair(t, addr)
	if err := sim.WaitEventSessions(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	sent := 0
	emit := func() {
		for range 3 {
			sent++
			sim.Emit("Event", "UserEvent", "UserEvent", "n", "N", strconv.Itoa(sent))
		}
	}
	p.killLeader(emit)
	for range 100 {
		emit()
	}
	next, last := p.events(), ""
	for n := 1; n <= sent; n++ {
		m := next()
		epoch, seq, err := standby.ParseSeq(m.Headers().Get("Ami-Seq"))
		if err != nil || seq != uint64(n) || last != "" && epoch != last || !strings.Contains(string(m.Data()), `"N":"`+strconv.Itoa(n)+`"`) {
			t.Fatalf("number %d of %d: %s %s %s (%v)", n, sent, m.Subject(), m.Headers().Get("Ami-Seq"), m.Data(), err)
		}
		last = epoch
	}
}
