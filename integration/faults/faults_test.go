//go:build unix

package faults

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/longtest"
)

var full = flag.Bool("full", false, "every fault at its full length, as make faults has it")

// fault is one thing that happens to NATS under load.
type fault struct {
	id, name string
	nodes    int
	short    []string // the ways in which an ordinary go test has it too
	// length is how long it lasts in full; else it is a few seconds.
	length time.Duration
	// outage: nothing can be acknowledged for at least half of that time.
	outage bool
	// kept: the streams are somebody else's, or the bridge would mend at once
	// what happens to them.
	kept bool
	// release of nats-server that it begins with; empty: the module's. Before 2.14
	// there is the window alone.
	release string
	// ends is the way of delivery at its end, empty if it is that at its begin.
	ends string
	// singles: an event may be refused and a smaller one behind it stored.
	singles bool
	// prepare, if set, is called before NATS is started.
	prepare func(r *rig)
	// configure, if set, changes the bridge's configuration.
	configure func(c *config.Config)
	happen    func(r *rig)
}

const (
	servers = 3
	rate    = 1000 // events a second of each
	// brief is how long a fault lasts in an ordinary go test.
	brief = 2500 * time.Millisecond
)

// rig is what a fault happens to: Asterisks, a bridge, NATS.
type rig struct {
	t         *testing.T
	program   string
	nodes     []*node
	links     map[[2]int]*proxy // between nodes, in a cluster that is to be divided
	way       *proxy            // between the bridge and NATS, if there is one
	asterisks []*asterisk
	loud      *asterisk // one more, whose events are looked at apart; or nil
	bridge    *running
	nc        *nats.Conn // a client's that outlives the fault
	js        jetstream.JetStream
	delivery  string         // in which events are acknowledged, of ways
	length    time.Duration  // of the fault
	margin    time.Duration  // of load before and after it
	gone      map[string]int // what was acknowledged, by server, and somebody deleted
}

// TestFaults has each fault happen under load, which goes on before and after
// it, and wants all that was sent in the stream once, in order, byte by byte.
func TestFaults(t *testing.T) {
	program := buildNATS(t)
	var rows []row
	all := 0
	for _, f := range faults {
		for _, way := range f.ways() {
			all++
			t.Run(f.id+"/"+way, func(t *testing.T) {
				if !*full && !slices.Contains(f.short, way) {
					t.Skip("a long one: make faults has it")
				}
				if f.id != "killed" {
					longtest.Mark(t, "each fault lasts two and a half seconds")
				}
				rows = append(rows, f.run(t, program, way))
			})
		}
	}
	for _, r := range rows {
		fmt.Fprintln(os.Stderr, r)
	}
	if !t.Failed() && len(rows) == all {
		writeTable(t, rows)
	}
}

func (f *fault) run(t *testing.T, program, way string) row {
	if f.release != "" {
		program = harness.InstallNATS(t, f.release)
	}
	r := &rig{t: t, program: program, delivery: way, length: brief, margin: brief / 5, gone: map[string]int{}}
	if *full {
		r.length, r.margin = f.length, time.Second
	}
	r.start(f)
	r.load(r.margin)
	r.bridge.goesBy(way)
	f.happen(r)
	r.load(r.margin)
	r.bridge.settle(r.asterisks)
	r.bridge.goesBy(cmp.Or(f.ends, way))
	all := readBack(t, r.js)
	var accounts []account
	for _, a := range r.asterisks {
		accounts = append(accounts, verify(t, all, a, r.gone[a.name]))
	}
	got := row{f.name, way, sum(accounts), r.bridge.resent(), r.bridge.worst()}
	if !f.promised(way, got.account) {
		t.Errorf("%v", got)
	}
	if f.outage && got.worst < r.length/2 {
		t.Errorf("at worst nothing was acknowledged for %v: that was no outage of %v", got.worst, r.length)
	}
	return got
}

// start runs NATS, the Asterisks and the bridge.
func (r *rig) start(f *fault) {
	for i := range f.nodes {
		r.nodes = append(r.nodes, newNode(r.t, r.program, fmt.Sprintf("n%d", i+1)))
	}
	if f.nodes > 1 {
		r.join()
	}
	if f.prepare != nil {
		f.prepare(r)
	}
	for _, n := range r.nodes {
		n.start()
	}
	r.nc = client(r.t, "reader", r.nodes...)
	r.js = jetStream(r.t, r.nc)
	r.canReplicate()
	for i := range servers {
		r.asterisks = append(r.asterisks, startAsterisk(r.t, fmt.Sprintf("pbx%d", i+1)))
	}
	// Others in a cluster are told to the bridge by the one that it knows.
	url := r.nodes[0].url()
	if r.way != nil {
		url = "nats://" + r.way.addr
	}
	all := slices.Clone(r.asterisks)
	if r.loud != nil {
		all = append(all, r.loud)
	}
	cfg := bridgeConfig(url, all)
	cfg.Stream.Replicas = f.nodes
	if !*full { // the table is of a bridge as it is
		cfg.NATS.RenewEvery = brief
	}
	if f.configure != nil {
		f.configure(&cfg)
	}
	if r.delivery == window && f.ends == "" || f.kept {
		r.keepStreams(&cfg)
	}
	r.bridge = startBridge(r.t, cfg)
	ctx, cancel := context.WithTimeout(r.t.Context(), harness.Patience)
	defer cancel()
	for _, a := range all {
		if err := a.sim.WaitEventSessions(ctx, 1); err != nil {
			r.t.Fatal(err)
		}
	}
}

// canReplicate waits until a stream may have as many replicas as there are
// nodes.
func (r *rig) canReplicate() {
	harness.Eventually(r.t, "every node takes replicas", func() bool {
		cfg := jetstream.StreamConfig{Name: "PROBE", Subjects: []string{"probe"}, Replicas: len(r.nodes)}
		if _, err := r.js.CreateOrUpdateStream(r.t.Context(), cfg); err != nil {
			return false
		}
		return r.js.DeleteStream(r.t.Context(), "PROBE") == nil
	})
}

// load has every server send events for that long.
func (r *rig) load(d time.Duration) {
	load(r.t.Context(), r.asterisks, int(d.Seconds()*rate), rate)
}

// under does something in the middle of a load that goes on behind it.
func (r *rig) under(do func()) {
	ctx, cancel := context.WithCancel(r.t.Context())
	var group sync.WaitGroup
	defer group.Wait()
	defer cancel()
	n := 1 << 30 // a short one might be over before a slow machine comes to its middle
	if *full {
		n = int((r.length + 2*r.margin).Seconds() * rate)
	}
	group.Go(func() { load(ctx, r.asterisks, n, rate) })
	pause(r.t, r.margin)
	do()
	if *full {
		group.Wait()
	} else {
		pause(r.t, r.margin)
	}
}

// stream is that of the events.
func (r *rig) stream() jetstream.Stream {
	r.t.Helper()
	var stream jetstream.Stream
	harness.Eventually(r.t, "the stream answers", func() (ok bool) {
		var err error
		stream, err = r.js.Stream(r.t.Context(), streams.EventStream)
		return err == nil
	})
	return stream
}
