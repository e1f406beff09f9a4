//go:build unix

package integration

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
)

var leafKills = flag.Bool("leaf", false, "kill the hub of a leaf: nats-server asks again only after half a minute")

// TestLeaf runs the program itself, for it is killed.
func TestLeaf(t *testing.T) {
	t.Parallel()
	program := buildBridge(t)
	for name, test := range map[string]func(*testing.T, string){
		"the hub is served": theHubIsServed, "the hub comes late": theHubComesLate,
		"the disk is full": theDiskIsFull, "the hub is killed": theHubIsKilled,
	} {
		t.Run(name, func(t *testing.T) { test(t, program) })
	}
}

// Who is at the hub sees and asks as if the bridge were there, and nothing is
// stored twice.
func theHubIsServed(t *testing.T, program string) {
	hub := newHub(t)
	metrics := fmt.Sprintf("127.0.0.1:%d", reservePort(t))
	sim, leaf := leafOf(t, program, hub, "BRIDGE_HTTP_ADDR="+metrics)
	r := openHub(t, hub)
	eventually(t, "the metric says so too", func() bool {
		return strings.Contains(page(t, "http://"+metrics+"/metrics"), `ami_nats_bridge_nats_up{connection="leaf"} 1`)
	})
	live := r.subscribe("ami.events.>")
	succeeds(t, r.call("pbx1", "QueueStatus", ""))
	pong, err := r.nc.Request("$SRV.PING.ami-bridge", nil, patience)
	if err != nil || !strings.Contains(string(pong.Data), `"node":"b1"`) {
		t.Errorf("discovery at the hub: %v, %+v", err, pong)
	}
	flood(t, sim, 2000)
	sent := sim.Emitted()
	seen := map[string]bool{}
	for range sent {
		seen[r.next(live).Header.Get("Nats-Msg-Id")] = true
	}
	if int64(len(seen)) != sent {
		t.Errorf("%d of %d events came to who listens at the hub", len(seen), sent)
	}
	arrived(t, r, sim, 1)
	local := leaf.connect()
	eventually(t, "the leaf has let go of them", func() bool { return streamHolds(t, local, streams.EventStream) == 0 })
	eventually(t, "the record of the Action is at the hub", func() bool { return streamHolds(t, r.nc, streams.AuditStream) > 0 })
	eventually(t, "the node says that it is connected", func() bool { return leafConnected(t, r.nc) })
	if n, _, err := live.Pending(); n != 0 || err != nil {
		t.Errorf("%d events more came to who listens at the hub (%v)", n, err)
	}
}

// Without a hub, and with the bridge killed meanwhile: what was on the leaf's
// disk arrives once there is one.
func theHubComesLate(t *testing.T, program string) {
	hub := newHub(t)
	sim, leaf := leafOf(t, program, hub)
	local := leaf.connect()
	flood(t, sim, 20_000)
	sent := uint64(sim.Emitted())
	eventually(t, "all are on the leaf's disk", func() bool { return streamHolds(t, local, streams.EventStream) == sent })
	if leafConnected(t, local) {
		t.Error("the node says that it is connected")
	}
	leaf.kill()
	eventually(t, "the sessions are gone", func() bool { return sim.Sessions() == 0 })
	leaf.start()
	await(t, sim)
	flood(t, sim, 5000)
	arrived(t, openHub(t, hub), sim, 2)
}

// What does not fit on the leaf's disk is lost, and told where it was.
func theDiskIsFull(t *testing.T, program string) {
	hub := newHub(t)
	sim, leaf := leafOf(t, program, hub, "BRIDGE_STREAM_MAX_BYTES=1MiB", "BRIDGE_AMI_OUTBOX_BYTES=4MiB")
	flood(t, sim, 20_000)
	here := &running{t: t, nc: leaf.connect()}
	here.awaitText(here.subscribe("ami.status.pbx1.buffers"), `"level":"full"`) // only with a loss
	r := openHub(t, hub)
	flood(t, sim, 100)
	sent := uint64(sim.Emitted())
	r.settled("pbx1", sent)
	here = &running{t: t, nc: leaf.connect()}
	eventually(t, "the leaf has let go of all", func() bool { return streamHolds(t, here.nc, streams.EventStream) == 0 })
	got := check(t, r.story("pbx1"))
	if uint64(len(got.events))+got.told != sent || got.told == 0 || got.holes != got.told {
		t.Errorf("of %d events %d are at the hub, %d are missing and %d told", sent, len(got.events), got.holes, got.told)
	}
}

// A hub that is killed again and again while it takes over, and while more comes.
func theHubIsKilled(t *testing.T, program string) {
	if !*leafKills {
		t.Skip("takes three minutes: make leaf")
	}
	hub := newHub(t)
	sim, _ := leafOf(t, program, hub)
	r := openHub(t, hub)
	for range 3 {
		done := make(chan struct{})
		go func() {
			defer close(done)
			flood(t, sim, 30_000)
		}()
		before := streamHolds(t, r.nc, streams.EventStream)
		eventually(t, "the hub takes over", func() bool { return streamHolds(t, r.nc, streams.EventStream) > before+1000 })
		hub.kill()
		<-done
		hub.start()
		r = &running{t: t, nc: connect(t, hub.url)}
		arrived(t, r, sim, 1)
	}
}

// leafOf runs the program for a simulated Asterisk, as a leaf of hub.
func leafOf(t *testing.T, program string, hub *natsProcess, env ...string) (*amisim.Server, *leafBridge) {
	t.Helper()
	sim, addr := startSim(t, amisim.Config{NotBooted: true})
	leaf := startLeaf(t, program, hub, addr, env...)
	await(t, sim)
	return sim, leaf
}

// await waits for a session that takes events.
func await(t *testing.T, sim *amisim.Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	if err := sim.WaitEventSessions(ctx, 1); err != nil {
		t.Fatal(err)
	}
}

// openHub starts hub, waits for the leaf and makes the streams. What is running
// is seen from there.
func openHub(t *testing.T, hub *natsProcess) *running {
	t.Helper()
	hub.start()
	r := &running{t: t, nc: connect(t, hub.url)}
	eventually(t, "the bridge answers", func() bool {
		_, err := r.nc.Request("$SRV.PING.ami-bridge", nil, 10*time.Second)
		if err != nil && !errors.Is(err, nats.ErrNoResponders) && !errors.Is(err, nats.ErrTimeout) {
			t.Error(err)
		}
		return err == nil
	})
	hubStreams(t, r.nc)
	return r
}

// arrived wants every event that was sent to be in the hub's stream once and in
// order.
func arrived(t *testing.T, r *running, sim *amisim.Server, sessions int) {
	t.Helper()
	sent := uint64(sim.Emitted())
	held, moved := uint64(0), time.Now() // a source that failed is tried again after 40 s
	for ticker := time.NewTicker(5 * time.Millisecond); held < sent; <-ticker.C {
		if now := eventsHeld(t, r.nc); now > held {
			held, moved = now, time.Now()
		}
		if time.Since(moved) > 3*patience {
			t.Fatalf("the hub's stream holds %d of %d events", held, sent)
		}
	}
	got := check(t, r.story("pbx1"))
	if n := uint64(len(got.events)); n != sent || got.holes != 0 || got.sessions != sessions {
		t.Errorf("the hub has %d of %d events, with %d holes, of %d sessions", n, sent, got.holes, got.sessions)
	}
}
