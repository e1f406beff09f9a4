//go:build unix

package load

import (
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/setting"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
)

// Two hundred thousand events go into an outbox of a mebibyte, half of them
// while NATS is frozen. What is lost is the oldest; it is counted, and told where
// it is missing; and the memory is the outbox's.
func TestChaos_FloodIntoASmallOutbox(t *testing.T) {
	const n = 200_000
	nats := harness.StartNATS(t)
	sim, addr := harness.Sim(t, amisim.Config{NotBooted: true})
	s := harness.ChaosServer("pbx1", addr)
	s.OutboxBytes = setting.MiB
	r := harness.Bridge(t, nats.URL, harness.ChaosConfig, s)
	states := r.Subscribe("ami.status.pbx1.connection")
	before := harness.HeapNow()
	nats.Freeze()
	harness.Flood(t, sim, n/2)
	harness.EveryEventIsRead(t, r, sim)
	harness.HeapIsBack(t, before, 24<<20)
	nats.Thaw()
	harness.Flood(t, sim, n/2)
	b := r.Drained("pbx1", n)
	if b.Outbox.HighWater > b.Outbox.Capacity || b.Outbox.Capacity != 1<<20 {
		t.Errorf("the outbox is %+v", b.Outbox)
	}
	if b.Dropped["overflow"] == 0 || b.Lost() != b.Dropped["overflow"] {
		t.Errorf("dropped %v, want overflow alone", b.Dropped)
	}
	got := harness.CheckStory(t, r.Story("pbx1"))
	if stored := uint64(len(got.Events)); stored+b.Lost() != n || got.Missing != b.Lost() || got.LostByGaps != b.Lost() {
		t.Errorf("%d of %d events are stored and %d dropped; %d numbers are missing and the Gap events say %d",
			stored, n, b.Lost(), got.Missing, got.LostByGaps)
	}
	for _, gap := range got.Gaps {
		if gap.Text("Reason") != "overflow" {
			t.Errorf("a gap is %s", gap.Data)
		}
	}
	// The newest is what an outbox keeps.
	if last := got.Events[len(got.Events)-1]; last.Seq != n || got.Sessions != 1 {
		t.Errorf("the last event is number %d of %d, by %d sessions", last.Seq, n, got.Sessions)
	}
	if told := r.Metric("gaps_total", "reason", "overflow"); told != float64(len(got.Gaps)) || told == 0 {
		t.Errorf("gaps_total is %v, the stream holds %d", told, len(got.Gaps))
	}
	if changes := r.Changes(states); changes != 0 {
		t.Errorf("%d changes of state", changes)
	}
	t.Logf("%d stored, %d dropped, %d gaps", len(got.Events), b.Lost(), len(got.Gaps))
}

// Events that were sent, given up after the acknowledgement's five seconds, and
// then pushed out of the outbox, may have reached NATS nevertheless. What the
// counters and the Gap events call lost must not be in the stream.
func TestChaos_WhatIsDroppedIsNotStored(t *testing.T) {
	t.Parallel()
	nats := harness.StartNATS(t)
	sim, addr := harness.Sim(t, amisim.Config{NotBooted: true})
	s := harness.ChaosServer("pbx1", addr)
	s.OutboxBytes = setting.MiB
	r := harness.Bridge(t, nats.URL, harness.ChaosConfig, s)
	nats.Freeze()
	harness.Flood(t, sim, 1000)
	harness.SentAgain(t, r)
	harness.Flood(t, sim, 20_000)
	nats.Thaw()
	harness.Flood(t, sim, 1000)
	sent := uint64(sim.Emitted())
	b := r.Drained("pbx1", sent)
	got := harness.CheckStory(t, r.Story("pbx1"))
	if stored := uint64(len(got.Events)); stored+b.Lost() != sent || got.Missing != b.Lost() || got.LostByGaps != b.Lost() {
		t.Errorf("%d of %d events are stored and %d dropped; %d numbers are missing and the Gap events say %d",
			stored, sent, b.Lost(), got.Missing, got.LostByGaps)
	}
}

// A flood on one server and a slow second cost the third nothing. The flood lasts
// until the third is done, so that whoever waits for its end waits for ever.
func TestChaos_FloodBesideSlowAndNormal(t *testing.T) {
	flooding, floodAddr := harness.Sim(t, amisim.Config{NotBooted: true})
	slow, slowAddr := harness.Sim(t, amisim.Config{NotBooted: true})
	normal, normalAddr := harness.Sim(t, amisim.Config{NotBooted: true})
	large := harness.ChaosServer("flood", floodAddr)
	large.OutboxBytes = 512 * setting.MiB
	r := harness.Bridge(t, harness.NATS(t), harness.ChaosConfig, large, harness.ChaosServer("slow", slowAddr), harness.ChaosServer("one", normalAddr))
	states := r.Subscribe("ami.status.*.connection")
	slow.Always("QueueStatus", amisim.Drip(64, 10*time.Millisecond))
	done := make(chan struct{})
	var group sync.WaitGroup
	group.Go(func() {
		for {
			harness.Flood(t, flooding, 10_000)
			// It need not grow for as long as this takes.
			for more := true; more; more = r.Metric("outbox_bytes", "server", "flood") > 64<<20 {
				select {
				case <-done:
					return
				case <-time.After(5 * time.Millisecond):
				}
			}
		}
	})
	stop := sync.OnceFunc(func() { close(done); group.Wait() })
	defer stop()
	harness.Eventually(t, "a flood", func() bool { return flooding.Emitted() > 20_000 })
	slowly := r.Ask("slow", "QueueStatus", "")
	for i := range 50 {
		slow.Emit("Event", "Tick", "N", fmt.Sprint(i))
	}
	harness.Undisturbed(t, r, normal, 60)
	stop()
	harness.Unharmed(t, r, 60)
	if got := r.Answer(slowly); got.Error != nil || len(got.Events) != 8 {
		t.Errorf("the slow server's list has %d events, %+v", len(got.Events), got.Error)
	}
	r.NoMore("slow", slowly)
	r.Drained("slow", 50)
	harness.Ticks(t, harness.CheckStory(t, r.Story("slow")), 50)
	sent := uint64(flooding.Emitted())
	if b := r.Drained("flood", sent); b.Lost() != 0 || b.Received != sent {
		t.Errorf("of a flood of %d events %+v", sent, b)
	}
	if got := harness.CheckStory(t, r.Story("flood")); uint64(len(got.Events)) != sent || got.Missing != 0 {
		t.Errorf("%d of %d events of the flood are stored, with %d missing", len(got.Events), sent, got.Missing)
	}
	if changes := r.Changes(states); changes != 0 {
		t.Errorf("%d changes of state", changes)
	}
	t.Logf("a flood of %d events", sent)
}

// Asterisk's clock jumps by hours, forward and back. Nothing that we do hangs
// on it. Our own clock cannot be set by a test; every duration of the bridge's is
// measured between two readings of time.Now, which Go takes from the monotonic
// clock.
func TestChaos_ClockOfTheServerJumps(t *testing.T) {
	sim, r := harness.ChaosBridge(t, amisim.Config{TimestampEvents: true}, func(s *config.ServerConfig) {
		s.PingInterval = 50 * time.Millisecond
	})
	states, events := r.Subscribe("ami.status.pbx1.connection"), r.Subscribe("ami.events.pbx1.Tick")
	n := 0
	for _, skew := range []time.Duration{0, 5 * time.Hour, -12 * time.Hour, 90 * 24 * time.Hour, -15 * time.Second} {
		sim.SetClock(skew)
		pings := sim.Received("Ping")
		came := harness.Hold(t, sim, "CoreStatus")
		slow := r.Ask("pbx1", "CoreStatus", "")
		h := harness.Within(t, "the action", came)
		// An action is under way while the clock jumps on, and some Pings pass.
		sim.SetClock(-skew)
		harness.Eventually(t, "Pings", func() bool { return sim.Received("Ping") > pings+3 })
		sim.SetClock(skew)
		h.Release <- ""
		msg := r.Next(slow)
		harness.Succeeds(t, harness.ParseReply(t, msg))
		var took struct {
			MS float64 `json:"duration_ms"`
		}
		if err := json.Unmarshal(msg.Data, &took); err != nil || took.MS <= 0 || took.MS > 60_000 {
			t.Errorf("with the clock %v ahead an action took %v ms (%v)", skew, took.MS, err)
		}
		sim.Emit("Event", "Tick", "N", fmt.Sprint(n))
		n++
		at, err := time.Parse(time.RFC3339Nano, r.Next(events).Header.Get("Ami-Time"))
		if age := time.Since(at); err != nil || age < -time.Second || age > harness.Patience {
			t.Errorf("with the clock %v ahead an event is %v old (%v)", skew, age, err)
		}
		r.NoMore("pbx1", slow)
	}
	r.Drained("pbx1", uint64(n))
	got := harness.CheckStory(t, r.Story("pbx1"))
	harness.Ticks(t, got, n)
	if got.Sessions != 1 || len(got.Gaps) != 0 {
		t.Errorf("%d sessions and %d gaps", got.Sessions, len(got.Gaps))
	}
	// The server's own time goes through as it was sent, back and forth.
	var stamps []string
	for _, e := range got.Events {
		stamps = append(stamps, e.Text("Timestamp"))
	}
	if slices.IsSorted(stamps) || slices.Contains(stamps, "") {
		t.Errorf("the Timestamps are %q", stamps)
	}
	if changes := r.Changes(states); changes != 0 {
		t.Errorf("%d changes of state", changes)
	}
}
