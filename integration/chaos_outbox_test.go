package integration

import (
	"fmt"
	"strings"
	"testing"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/setting"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
)

// A dialer's noise is shed so that every Hangup and queue event survives, though
// all together are many times what the outbox holds. One Gap at a time tells of
// what was shed; it stands where the first of them was missing.
func TestChaos_ShedFirstSavesTheRest(t *testing.T) {
	sim, r := chaosBridge(t, amisim.Config{}, func(s *config.ServerConfig) {
		s.OutboxBytes, s.ShedFirst = setting.MiB, // a window's worth stays in flight
			setting.Globs{"VarSet", "Newexten", "RTCP*"}
	})
	bring := r.withoutStream()
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
	eventually(t, "all are read", func() bool { return r.metric("events_received_total", "server", "pbx1") == n })
	bring()
	b := r.settled("pbx1", n)
	saved, shed, told, last := 0, uint64(0), uint64(0), uint64(0)
	for _, e := range r.story("pbx1") {
		if e.name == "Gap" {
			var lost uint64
			if _, err := fmt.Sscan(e.text("Lost"), &lost); err != nil || e.text("Reason") != "shed" {
				t.Fatalf("a gap is %s", e.data)
			}
			told += lost
			continue
		}
		if e.seq <= last {
			t.Fatalf("number %d came after %d", e.seq, last)
		}
		shed, last = shed+e.seq-last-1, e.seq
		if strings.HasPrefix(e.name, "Queue") || e.name == "Hangup" {
			saved++
		}
	}
	shed += n - last
	if saved != n/every {
		t.Errorf("%d of %d Hangups and queue events survived", saved, n/every)
	}
	if b.Dropped["shed"] == 0 || b.lost() != b.Dropped["shed"] || told != shed || told != b.lost() {
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
		sim, addr := startSim(t, amisim.Config{NotBooted: true})
		sims, servers = append(sims, sim), append(servers, chaosServer(name, addr))
	}
	r := startBridge(t, natsURL(t), func(c *config.Config) { chaosConfig(c); c.OutboxTotalBytes = total }, servers...)
	bring := r.withoutStream()
	const quiet = 500
	for _, sim := range sims[:floods] {
		flood(t, sim, n)
	}
	for i := range quiet {
		sims[floods].Emit("Event", "Tick", "N", fmt.Sprint(i))
	}
	eventually(t, "all are read", func() bool { return r.metric("events_received_total") == floods*n+quiet })
	if held := r.metric("outbox_bytes"); held > total+float64(len(servers))*gapsBytes {
		t.Errorf("the outboxes hold %v bytes, of %d", held, total)
	}
	bring()
	for _, s := range servers[:floods] {
		b := r.settled(s.Name, n)
		got := check(t, r.story(s.Name))
		if b.Dropped["total"] == 0 || b.lost() != b.Dropped["total"] || got.told != b.lost() {
			t.Errorf("%s: dropped %v, the Gaps tell of %d", s.Name, b.Dropped, got.told)
		}
		for _, gap := range got.gaps {
			if gap.text("Reason") != "total" {
				t.Errorf("%s: a gap is %s", s.Name, gap.data)
			}
		}
	}
	if b := r.settled("calm", quiet); b.lost() != 0 {
		t.Errorf("the calm server lost %v", b.Dropped)
	}
	ticks(t, check(t, r.story("calm")), quiet)
}

// Backlogged servers are served alike in bytes, whatever the size of their
// events: as long as all have a backlog, Jain's index of what the stream holds
// of each is 0.99 and more. (Much smaller events would meet the bound on how many
// of one server may be in flight first.)
func TestChaos_BackloggedServersShareByBytes(t *testing.T) {
	// Outbox entries count some bytes beside the payload, 128 each.
	const overhead, backlog = 128, 4 << 20
	sizes := map[string]int{"small": 400, "middle": 900, "large": 7000, "mixed": 0}
	sims := map[string]*amisim.Server{}
	var servers []config.ServerConfig
	for name := range sizes {
		sim, addr := startSim(t, amisim.Config{NotBooted: true})
		sims[name], servers = sim, append(servers, chaosServer(name, addr))
	}
	url := natsURL(t)
	way := startRelay(t, strings.TrimPrefix(url, "nats://"))
	r := startBridge(t, "nats://"+way.addr, chaosConfig, servers...)
	r.nc = connect(t, url)
	back := way.close() // so that all find NATS again at the same moment
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
	eventually(t, "all are read", func() bool { return r.metric("events_received_total") == float64(sent) })
	back()
	for name := range sizes {
		r.settled(name, 1)
	}
	// The first half of all: nobody's backlog has come to its end by then.
	shares, all := map[string]float64{}, 0.0
	for _, e := range r.story("*") {
		if all > backlog*float64(len(sizes))/2 {
			break
		}
		n := float64(len(e.data) + overhead)
		shares[e.server], all = shares[e.server]+n, all+n
	}
	squares := 0.0
	for _, s := range shares {
		squares += s * s
	}
	jain := all * all / (float64(len(sizes)) * squares)
	t.Logf("Jain's index %.4f of %v", jain, shares)
	if jain < 0.99 {
		t.Errorf("Jain's index is %.4f, of %v", jain, shares)
	}
}
