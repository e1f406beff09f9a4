//go:build unix

package ha

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/standby"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
)

const server = "pbx1"

// fleet is bridges on one simulated Asterisk, each a process of its own, with ways of its
// own to the Asterisk and to NATS.
type fleet struct {
	t *testing.T
	shape
	sim     *amisim.Server // nil at a real one
	nats    []*harness.NATSProcess
	nc      *nats.Conn
	bridges map[string]*node
	ear     *ear // of what the bridges say of themselves

	mu    sync.Mutex
	heard map[string]word // by node

	sent, alike int
	raised      []time.Time // the numbers
	read        reading
}

// shape is what a fleet is made of.
type shape struct {
	servers int      // of NATS, which replicate the stream; 0: one
	apart   bool     // the bridges do not hear each other for a while: two may take themselves for the leader
	atOnce  bool     // the bridges start at once: it is all the same which of them leads
	mixed   bool     // each session has an order of its own
	addr    string   // of the Asterisk; empty: a simulated one
	records bool     // what it says to each bridge is kept
	more    []string // variables of each bridge
	older   string   // the program of another version, which each bridge is at first; empty: none is
}

// node is one of them.
type node struct {
	harness.Process
	name          string
	toNATS, toPBX *way
	away          bool // is not waited for
}

// word is what a bridge said last of the server.
type word struct {
	at    time.Time
	leads bool
	state string
	term  uint64
}

// newFleet begins bridges of those names.
func newFleet(t *testing.T, s shape, names ...string) *fleet {
	t.Helper()
	f := &fleet{t: t, shape: s, bridges: map[string]*node{}, heard: map[string]word{}, read: newReading()}
	f.nats = harness.Cluster(t, max(1, s.servers), rights(""))
	if f.addr == "" {
		f.sim, f.addr = harness.Sim(t, amisim.Config{})
	}
	f.nc = f.client()
	if f.older == "" { // another version has schemas of its own
		f.ear = listen(t, f.nc)
	}
	if _, err := f.nc.Subscribe("ami.ha.*", f.hear); err != nil {
		t.Fatal(err)
	}
	f.canReplicate()
	for i, name := range names {
		if f.start(name); i == 0 && !s.atOnce { // else who starts a moment later may not hear that it leads
			harness.Eventually(t, "the first one leads", func() bool { return f.leads(name) })
		}
	}
	if f.sim != nil {
		if err := f.sim.WaitEventSessions(t.Context(), len(names)); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

// rights are users of NATS: each bridge, of which that of one node may not publish what is
// denied, and a reader.
func rights(node string, denied ...string) string {
	var b strings.Builder
	b.WriteString("authorization { users: [\n  {user: reader, password: reader}\n")
	for _, name := range []string{"b1", "b2"} {
		permissions := ""
		if name == node {
			permissions = fmt.Sprintf(", permissions: {publish: {deny: [%s]}}", strings.Join(denied, ", "))
		}
		fmt.Fprintf(&b, "  {user: %s, password: %s%s}\n", name, name, permissions)
	}
	return b.String() + "] }\n"
}

// client reads what the bridges say, and outlives each nats-server.
func (f *fleet) client() *nats.Conn {
	f.t.Helper()
	var urls []string
	for _, n := range f.nats {
		urls = append(urls, n.URL)
	}
	nc, err := nats.Connect(strings.Join(urls, ","), nats.UserInfo("reader", "reader"), nats.MaxReconnects(-1),
		nats.ReconnectWait(50*time.Millisecond), nats.RetryOnFailedConnect(true), nats.Timeout(harness.Patience))
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(nc.Close)
	return nc
}

// canReplicate waits until a stream may have as many replicas as there are nats-servers.
func (f *fleet) canReplicate() {
	f.t.Helper()
	js := harness.JetStream(f.t, f.nc)
	harness.Eventually(f.t, "every nats-server takes replicas", func() bool {
		ctx, cancel := context.WithTimeout(f.t.Context(), 5*time.Second)
		defer cancel()
		_, err := js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{Name: "PROBE", Subjects: []string{"probe"}, Replicas: len(f.nats)})
		return err == nil && js.DeleteStream(ctx, "PROBE") == nil
	})
}

// leads reports whether the bridge of that name has said so.
func (f *fleet) leads(name string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.heard[name].leads
}

func (f *fleet) hear(m *nats.Msg) {
	h, err := standby.DecodeHeartbeat(m.Data)
	if err != nil {
		f.t.Error(err)
		return
	}
	w := word{at: time.Now(), leads: len(h.Leads) > 0}
	for _, s := range h.Stands {
		w.state, w.term = s.State, s.Term
	}
	for _, l := range h.Leads {
		w.term = l.Term
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.heard[h.Node] = w
}

// start starts a bridge, or starts it again.
func (f *fleet) start(name string) {
	f.t.Helper()
	b := f.bridges[name]
	if b == nil {
		b = &node{
			name: name, toNATS: newWay(f.t, f.addrs(len(f.bridges))...), toPBX: newWay(f.t, f.addr),
		}
		b.toPBX.mixed, b.toPBX.records = f.mixed, f.records
		b.Process = process(f.t, cmp.Or(f.older, harness.BuildBridge(f.t)), name, "nats://"+b.toNATS.addr, b.toPBX.addr,
			append([]string{"BRIDGE_STREAM_REPLICAS=" + strconv.Itoa(len(f.nats))}, f.more...)...)
		f.bridges[name] = b
		f.t.Cleanup(func() {
			b.Kill()
			if f.t.Failed() || *logged {
				log, _ := os.ReadFile(b.Log)
				f.t.Logf("%s:\n%s", name, log[max(0, len(log)-8000):])
			}
		})
	}
	f.mu.Lock()
	delete(f.heard, name) // what the one before has said
	f.mu.Unlock()
	b.away = false
	b.Start()
}

// addrs are those of the nats-servers, from the first'th on.
func (f *fleet) addrs(first int) (all []string) {
	for i := range f.nats {
		all = append(all, f.nats[(first+i)%len(f.nats)].Addr)
	}
	return all
}

// settled waits until one of the bridges that run leads, and the others are in sync, while
// the Asterisk goes on.
func (f *fleet) settled() (leader, standby *node) {
	f.t.Helper()
	harness.Eventually(f.t, "one leads, the others are in sync", func() (ok bool) {
		f.emit(1 + rand.IntN(3))
		leader, standby, ok = f.stand()
		return ok
	})
	return leader, standby
}

// stand reports whether one of the bridges that run leads, and the others are in sync.
func (f *fleet) stand() (leader, standby *node, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for name, b := range f.bridges {
		switch w := f.heard[name]; {
		case b.away:
		case time.Since(w.at) > 600*time.Millisecond:
			return nil, nil, false
		case w.leads && leader != nil:
			return nil, nil, false
		case w.leads:
			leader = b
		case w.state != "in_sync":
			return nil, nil, false
		default:
			standby = b
		}
	}
	return leader, standby, leader != nil
}

// threads are those of the Asterisk whose events are in order in every session.
const threads = 4

// emit has the Asterisk raise n events with a number of their own, and others that are all
// alike.
func (f *fleet) emit(n int) {
	for range n {
		f.sent++
		f.raised = append(f.raised, time.Now())
		f.sim.Emit("Event", "UserEvent", "UserEvent", "n", "N", strconv.Itoa(f.sent), "Thread", strconv.Itoa(f.sent%threads))
		for range rand.IntN(3) {
			f.alike++
			f.sim.Emit("Event", "UserEvent", "UserEvent", "alike")
		}
	}
}

// emitFor has it do so for some time, about 2,000 events a second.
func (f *fleet) emitFor(d time.Duration) { f.emitAt(5, d) }

// emitAt has it raise so many each 5 ms.
func (f *fleet) emitAt(n int, d time.Duration) {
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for end := time.Now().Add(d); time.Now().Before(end); <-ticker.C {
		f.emit(n)
	}
}

// under does something while the Asterisk goes on.
func (f *fleet) under(do func()) {
	done := make(chan struct{})
	go func() { defer close(done); do() }()
	for {
		select {
		case <-done:
			return
		default:
			f.emitFor(5 * time.Millisecond)
		}
	}
}
