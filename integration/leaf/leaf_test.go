//go:build unix

package leaf

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
)

var leafKills = flag.Bool("leaf", false, "kill the hub of a leaf: nats-server asks again only after half a minute")

// TestLeaf runs the program itself, for it is killed.
func TestLeaf(t *testing.T) {
	t.Parallel()
	program := harness.BuildBridge(t)
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
	hub := harness.NewHub(t)
	metrics := fmt.Sprintf("127.0.0.1:%d", harness.Port(t))
	sim, leaf := leafOf(t, program, hub, "BRIDGE_HTTP_ADDR="+metrics)
	r := openHub(t, hub)
	harness.Eventually(t, "the metric says so too", func() bool {
		return strings.Contains(harness.Page(t, "http://"+metrics+"/metrics"), `ami_nats_bridge_nats_up{connection="leaf"} 1`)
	})
	live := r.Subscribe("ami.events.>")
	harness.Succeeds(t, r.Call("pbx1", "QueueStatus", ""))
	pong, err := r.Client.Request("$SRV.PING.ami-bridge", nil, harness.Patience)
	if err != nil || !strings.Contains(string(pong.Data), `"node":"b1"`) {
		t.Errorf("discovery at the hub: %v, %+v", err, pong)
	}
	harness.Flood(t, sim, 2000)
	sent := sim.Emitted()
	seen := map[string]bool{}
	for range sent {
		seen[r.Next(live).Header.Get("Nats-Msg-Id")] = true
	}
	if int64(len(seen)) != sent {
		t.Errorf("%d of %d events came to who listens at the hub", len(seen), sent)
	}
	arrived(t, r, sim, 1)
	local := leaf.connect()
	harness.Eventually(t, "the leaf has let go of them", func() bool { return streamHolds(t, local, streams.EventStream) == 0 })
	harness.Eventually(t, "the record of the Action is at the hub", func() bool { return streamHolds(t, r.Client, streams.AuditStream) > 0 })
	harness.Eventually(t, "the node says that it is connected", func() bool { return leafConnected(t, r.Client) })
	if n, _, err := live.Pending(); n != 0 || err != nil {
		t.Errorf("%d events more came to who listens at the hub (%v)", n, err)
	}
	stateAtTheHub(t, sim, leaf, harness.WatchState(t, r.Client))
}

// What is up begins and ends at the hub too, and when the bridge is gone, so is the
// server's key there.
func stateAtTheHub(t *testing.T, sim *amisim.Server, leaf *leafBridge, board *harness.Board) {
	t.Helper()
	up := func(id string) bool { return board.Up()["pbx1.channel.1=2E"+id] != nil }
	floor := amisim.NewFloor(sim) // a bridge that is late with the server's key asks for lists anew, and they have what is up
	for _, id := range []string{"7771", "7772"} {
		floor.Begin("1."+id, amisim.Raised)
	}
	harness.Eventually(t, "both are up at the hub", func() bool { return up("7771") && up("7772") })
	floor.End("1.7771", amisim.Raised)
	harness.Eventually(t, "one has ended at the hub", func() bool { return !up("7771") })
	if _, err := board.KV.Get(t.Context(), "pbx1.channel.1=2E7771"); !errors.Is(err, jetstream.ErrKeyNotFound) {
		t.Errorf("what has ended: %v", err)
	}
	if err := leaf.Stop(); err != nil {
		t.Error(err)
	}
	harness.Eventually(t, "the server's key has expired at the hub", func() bool { return slices.Contains(board.Said(), "gone") })
	if !up("7772") {
		t.Error("what was up is not there any more")
	}
}

// Without a hub, and with the bridge killed meanwhile: what was on the leaf's
// disk arrives once there is one.
func theHubComesLate(t *testing.T, program string) {
	hub := harness.NewHub(t)
	sim, leaf := leafOf(t, program, hub)
	local := leaf.connect()
	harness.Flood(t, sim, 20_000)
	sent := uint64(sim.Emitted())
	harness.Eventually(t, "all are on the leaf's disk", func() bool { return streamHolds(t, local, streams.EventStream) == sent })
	if leafConnected(t, local) {
		t.Error("the node says that it is connected")
	}
	leaf.Kill()
	harness.Eventually(t, "the sessions are gone", func() bool { return sim.Sessions() == 0 })
	leaf.Start()
	await(t, sim)
	harness.Flood(t, sim, 5000)
	arrived(t, openHub(t, hub), sim, 2)
}

// What does not fit on the leaf's disk is lost, and told where it was.
func theDiskIsFull(t *testing.T, program string) {
	hub := harness.NewHub(t)
	sim, leaf := leafOf(t, program, hub, "BRIDGE_STREAM_MAX_BYTES=1MiB", "BRIDGE_AMI_OUTBOX_BYTES=4MiB")
	harness.Flood(t, sim, 20_000)
	here := &harness.Running{T: t, Client: leaf.connect()}
	here.AwaitText(here.Subscribe("ami.status.pbx1.buffers"), `"level":"full"`) // only with a loss
	r := openHub(t, hub)
	harness.Flood(t, sim, 100)
	sent := uint64(sim.Emitted())
	r.Drained("pbx1", sent)
	here = &harness.Running{T: t, Client: leaf.connect()}
	harness.Eventually(t, "the leaf has let go of all", func() bool { return streamHolds(t, here.Client, streams.EventStream) == 0 })
	got := harness.CheckStory(t, r.Story("pbx1"))
	if uint64(len(got.Events))+got.LostByGaps != sent || got.LostByGaps == 0 || got.Missing != got.LostByGaps {
		t.Errorf("of %d events %d are at the hub, %d are missing and %d told", sent, len(got.Events), got.Missing, got.LostByGaps)
	}
}

// A hub that is killed again and again while it takes over, and while more comes.
func theHubIsKilled(t *testing.T, program string) {
	if !*leafKills {
		t.Skip("takes three minutes: make leaf")
	}
	hub := harness.NewHub(t)
	sim, _ := leafOf(t, program, hub)
	r := openHub(t, hub)
	for range 3 {
		done := make(chan struct{})
		go func() {
			defer close(done)
			harness.Flood(t, sim, 30_000)
		}()
		before := streamHolds(t, r.Client, streams.EventStream)
		harness.Eventually(t, "the hub takes over", func() bool { return streamHolds(t, r.Client, streams.EventStream) > before+1000 })
		hub.Kill()
		<-done
		hub.Start()
		r = &harness.Running{T: t, Client: harness.Client(t, hub.URL)}
		arrived(t, r, sim, 1)
	}
}

// leafOf runs the program for a simulated Asterisk, as a leaf of hub.
func leafOf(t *testing.T, program string, hub *harness.NATSProcess, env ...string) (*amisim.Server, *leafBridge) {
	t.Helper()
	sim, addr := harness.Sim(t, amisim.Config{NotBooted: true})
	leaf := startLeaf(t, program, hub, addr, env...)
	await(t, sim)
	return sim, leaf
}

// await waits for a session that takes events.
func await(t *testing.T, sim *amisim.Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*harness.Patience)
	defer cancel()
	if err := sim.WaitEventSessions(ctx, 1); err != nil {
		t.Fatal(err)
	}
}

// openHub starts hub, waits for the leaf and makes the streams. What is running
// is seen from there.
func openHub(t *testing.T, hub *harness.NATSProcess) *harness.Running {
	t.Helper()
	hub.Start()
	r := &harness.Running{T: t, Client: harness.Client(t, hub.URL)}
	harness.Eventually(t, "the bridge answers", func() bool {
		_, err := r.Client.Request("$SRV.PING.ami-bridge", nil, 10*time.Second)
		if err != nil && !errors.Is(err, nats.ErrNoResponders) && !errors.Is(err, nats.ErrTimeout) {
			t.Error(err)
		}
		return err == nil
	})
	hubStreams(t, r.Client)
	return r
}

// arrived wants every event that was sent to be in the hub's stream once and in
// order.
func arrived(t *testing.T, r *harness.Running, sim *amisim.Server, sessions int) {
	t.Helper()
	sent := uint64(sim.Emitted())
	held, moved := uint64(0), time.Now() // a source that failed is tried again after 40 s
	for ticker := time.NewTicker(5 * time.Millisecond); held < sent; <-ticker.C {
		if now := eventsHeld(t, r.Client); now > held {
			held, moved = now, time.Now()
		}
		if time.Since(moved) > 3*harness.Patience {
			t.Fatalf("the hub's stream holds %d of %d events", held, sent)
		}
	}
	got := harness.CheckStory(t, r.Story("pbx1"))
	if n := uint64(len(got.Events)); n != sent || got.Missing != 0 || got.Sessions != sessions {
		t.Errorf("the hub has %d of %d events, with %d missing, of %d sessions", n, sent, got.Missing, got.Sessions)
	}
}
