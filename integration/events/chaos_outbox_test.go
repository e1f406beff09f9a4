package events

import (
	"fmt"
	"strings"
	"testing"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/setting"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
)

// A dialer's noise is shed so that every Hangup and queue event survives, though
// all together are many times what the outbox holds. One Gap at a time tells of
// what was shed; it stands where the first of them was missing.
func TestChaos_ShedFirstSavesTheRest(t *testing.T) {
	sim, r := harness.ChaosBridge(t, amisim.Config{}, func(s *config.ServerConfig) {
		s.OutboxBytes, s.ShedFirst = setting.MiB, // a window's worth stays in flight
			setting.Globs{"VarSet", "Newexten", "RTCP*"}
	})
	bring := r.WithoutStream()
	noise := []string{"VarSet", "Newexten", "RTCPSent", "RTCPReceived"}
	kept := []string{"Hangup", "QueueCallerJoin", "QueueMemberStatus"}
	const n, every = 20_000, 40
	for i := range n {
		name := noise[i%len(noise)]
		if i%every == 0 {
			name = kept[i/every%len(kept)]
		}
		sim.Emit("Event", name, "N", fmt.Sprint(i), "Filler", strings.Repeat("x", 100))
	}
	harness.Eventually(t, "all are read", func() bool { return r.Metric("events_received_total", "server", "pbx1") == n })
	bring()
	b := r.Drained("pbx1", n)
	saved, shed, told, last := 0, uint64(0), uint64(0), uint64(0)
	for _, e := range r.Story("pbx1") {
		if e.Name == "Gap" {
			var lost uint64
			if _, err := fmt.Sscan(e.Text("Lost"), &lost); err != nil || e.Text("Reason") != "shed" {
				t.Fatalf("a gap is %s", e.Data)
			}
			told += lost
			continue
		}
		if e.Seq <= last {
			t.Fatalf("number %d came after %d", e.Seq, last)
		}
		shed, last = shed+e.Seq-last-1, e.Seq
		if strings.HasPrefix(e.Name, "Queue") || e.Name == "Hangup" {
			saved++
		}
	}
	shed += n - last
	if saved != n/every {
		t.Errorf("%d of %d Hangups and queue events survived", saved, n/every)
	}
	if b.Dropped["shed"] == 0 || b.Lost() != b.Dropped["shed"] || told != shed || told != b.Lost() {
		t.Errorf("dropped %v; %d numbers are missing, the Gaps tell of %d", b.Dropped, shed, told)
	}
}

// All outboxes together have a bound as well. What floods pays for it, counted as
// total; what is in its floor stays.
func TestChaos_AllOutboxesTogetherAreBounded(t *testing.T) {
	const total, floods, n = 2 << 20, 3, 20_000
	var sims []*amisim.Server
	var servers []config.ServerConfig
	for _, name := range []string{"one", "two", "three", "calm"} {
		sim, addr := harness.Sim(t, amisim.Config{NotBooted: true})
		sims, servers = append(sims, sim), append(servers, harness.ChaosServer(name, addr))
	}
	r := harness.Bridge(t, harness.NATS(t), func(c *config.Config) { harness.ChaosConfig(c); c.OutboxTotalBytes = total }, servers...)
	bring := r.WithoutStream()
	const quiet = 500
	for _, sim := range sims[:floods] {
		harness.Flood(t, sim, n)
	}
	for i := range quiet {
		sims[floods].Emit("Event", "Tick", "N", fmt.Sprint(i))
	}
	harness.Eventually(t, "all are read", func() bool { return r.Metric("events_received_total") == floods*n+quiet })
	if held := r.Metric("outbox_bytes"); held > total+float64(len(servers))*harness.GapsBytes {
		t.Errorf("the outboxes hold %v bytes, of %d", held, total)
	}
	bring()
	for _, s := range servers[:floods] {
		b := r.Drained(s.Name, n)
		got := harness.CheckStory(t, r.Story(s.Name))
		if b.Dropped["total"] == 0 || b.Lost() != b.Dropped["total"] || got.LostByGaps != b.Lost() {
			t.Errorf("%s: dropped %v, the Gaps tell of %d", s.Name, b.Dropped, got.LostByGaps)
		}
		for _, gap := range got.Gaps {
			if gap.Text("Reason") != "total" {
				t.Errorf("%s: a gap is %s", s.Name, gap.Data)
			}
		}
	}
	if b := r.Drained("calm", quiet); b.Lost() != 0 {
		t.Errorf("the calm server lost %v", b.Dropped)
	}
	harness.Ticks(t, harness.CheckStory(t, r.Story("calm")), quiet)
}

// Backlogged servers are served alike in bytes, whatever the size of their
// events: as long as all have a backlog, Jain's index of what the stream holds
// of each is 0.99 and more. (Much smaller events would meet the bound on how many
// of one server may be in flight first.)
func TestChaos_BackloggedServersShareByBytes(t *testing.T) {
	t.Parallel()
	// Outbox entries count some bytes beside the payload, 128 each.
	const overhead, backlog = 128, 4 << 20
	sizes := map[string]int{"small": 400, "middle": 900, "large": 7000, "mixed": 0}
	sims := map[string]*amisim.Server{}
	var servers []config.ServerConfig
	for name := range sizes {
		sim, addr := harness.Sim(t, amisim.Config{NotBooted: true})
		sims[name], servers = sim, append(servers, harness.ChaosServer(name, addr))
	}
	url := harness.NATS(t)
	way := harness.StartRelay(t, strings.TrimPrefix(url, "nats://"))
	r := harness.Bridge(t, "nats://"+way.Addr, harness.ChaosConfig, servers...)
	r.Client = harness.Client(t, url)
	back := way.Close() // so that all find NATS again at the same moment
	sent := 0
	for name, sim := range sims {
		for bytes, i := 0, 0; bytes < backlog; i++ {
			size := sizes[name]
			if name == "mixed" {
				size = 50 << (i % 8)
			}
			sim.Emit("Event", "Tick", "Filler", strings.Repeat("x", size))
			bytes += size + overhead
			sent++
		}
	}
	harness.Eventually(t, "all are read", func() bool { return r.Metric("events_received_total") == float64(sent) })
	back()
	for name := range sizes {
		r.Drained(name, 1)
	}
	// The first half of all: nobody's backlog has come to its end by then. Each one's first event goes alone,
	// once the stream has said what it holds of the server, which takes one longer than another.
	shares, begun, counted, all := map[string]float64{}, map[string]int{}, 0.0, 0.0
	flows := 0 // of how many more than the first is stored
	for _, e := range r.Story("*") {
		n := float64(len(e.Data) + overhead)
		if all += n; all > backlog*float64(len(sizes))/2 {
			break
		}
		if begun[e.Server]++; begun[e.Server] == 2 {
			flows++
		}
		if flows == len(sizes) {
			shares[e.Server], counted = shares[e.Server]+n, counted+n
		}
	}
	squares := 0.0
	for _, s := range shares {
		squares += s * s
	}
	jain := counted * counted / (float64(len(sizes)) * squares)
	t.Logf("Jain's index %.4f of %v", jain, shares)
	if jain < 0.99 {
		t.Errorf("Jain's index is %.4f, of %v", jain, shares)
	}
}
