//go:build unix

package streams

import (
	"context"
	"testing"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
)

// natsBridge is a bridge to pbx1 on a NATS that can be stopped.
func natsBridge(t *testing.T) (*harness.NATSProcess, *amisim.Server, *harness.Running) {
	t.Helper()
	nats := harness.StartNATS(t)
	sim, addr := harness.Sim(t, amisim.Config{NotBooted: true})
	r := harness.Bridge(t, nats.URL, harness.ChaosConfig, harness.ChaosServer("pbx1", addr))
	return nats, sim, r
}

// wholeStory wants everything that was sent to be in the stream once and in
// order, by one session that never noticed. The client of r may be older than
// its NATS.
func wholeStory(t *testing.T, r *harness.Running, sim *amisim.Server) {
	t.Helper()
	sent := uint64(sim.Emitted())
	r.Client = harness.Client(t, r.Config.NATS.URL)
	b := r.Drained("pbx1", sent)
	if b.Lost() != 0 || b.Received != sent || b.Published != sent {
		t.Errorf("of %d events the counters say %+v", sent, b)
	}
	got := harness.CheckStory(t, r.Story("pbx1"))
	if n := uint64(len(got.Events)); n != sent || got.Missing != 0 || got.Sessions != 1 || len(got.Gaps) != 0 {
		t.Errorf("the stream holds %d of %d events, with %d missing, %d sessions and %d gaps", n, sent, got.Missing, got.Sessions, len(got.Gaps))
	}
	harness.Succeeds(t, r.Call("pbx1", "QueueStatus", ""))
	if n := sim.Sessions(); n != 2 {
		t.Errorf("%d sessions at the server, want the 2 of the start", n)
	}
}

// traffic is five thousand events a second until then.
func traffic(t *testing.T, sim *amisim.Server, until time.Time) {
	t.Helper()
	ctx, cancel := context.WithDeadline(t.Context(), until)
	defer cancel()
	if err := sim.RunTraffic(ctx, amisim.Traffic{EventsPerSecond: 5000, Seed: 2}); err != nil {
		t.Error(err)
	}
}

func TestChaos_NATSStopped(t *testing.T) {
	t.Parallel()
	nats, sim, r := natsBridge(t)
	harness.Flood(t, sim, 5000)
	nats.Stop()
	gone := time.Now()
	harness.Flood(t, sim, 20_000)
	traffic(t, sim, gone.Add(4*time.Second))
	harness.EveryEventIsRead(t, r, sim)
	nats.Start()
	harness.Flood(t, sim, 5000)
	wholeStory(t, r, sim)
}

// A frozen NATS acknowledges nothing and breaks nothing off. Nobody but the
// publisher may feel it.
func TestChaos_NATSFrozen(t *testing.T) {
	t.Parallel()
	nats, sim, r := natsBridge(t)
	harness.Flood(t, sim, 5000)
	nats.Freeze()
	harness.Flood(t, sim, 20_000)
	// It is frozen until the end: whoever waited for it would wait for ever.
	harness.EveryEventIsRead(t, r, sim)
	harness.SentAgain(t, r)
	traffic(t, sim, time.Now().Add(500*time.Millisecond))
	nats.Thaw()
	wholeStory(t, r, sim)
}

func TestChaos_NATSKilledUnderLoad(t *testing.T) {
	t.Parallel()
	nats, sim, r := natsBridge(t)
	for range 4 {
		done := make(chan struct{})
		go func() {
			defer close(done)
			harness.Flood(t, sim, 20_000)
		}()
		defer func() { <-done }() // also when the test ends here
		// In the middle of it, with a window full of events on their way.
		before := sim.Emitted()
		harness.Eventually(t, "half of a flood", func() bool { return sim.Emitted() > before+10_000 })
		nats.Kill()
		nats.Start()
		<-done
	}
	wholeStory(t, r, sim)
}
