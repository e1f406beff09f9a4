//go:build unix

package integration

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
)

// heapIsBack waits until the live heap is at most limit larger than before. One
// collection may count what was allocated while it ran; a leak stays.
func heapIsBack(t *testing.T, before, limit uint64) {
	t.Helper()
	eventually(t, fmt.Sprintf("a live heap of %d bytes more at most", limit), func() bool { return heapNow() <= before+limit })
}

// Two hundred thousand events go into an outbox of a mebibyte, half of them
// while NATS is frozen. What is lost is the oldest; it is counted, and told where
// it is missing; and the memory is the outbox's.
func TestChaos_FloodIntoASmallOutbox(t *testing.T) {
	const n = 200_000
	nats := startNATS(t)
	sim, addr := startSim(t, amisim.Config{NotBooted: true})
	s := chaosServer("pbx1", addr)
	s.OutboxBytes = setting.MiB
	r := startBridge(t, nats.url, chaosConfig, s)
	states := r.subscribe("ami.status.pbx1.connection")
	before := heapNow()
	nats.freeze()
	flood(t, sim, n/2)
	everyEventIsRead(t, r, sim)
	heapIsBack(t, before, 24<<20)
	nats.thaw()
	flood(t, sim, n/2)
	b := r.settled("pbx1", n)
	if b.Outbox.HighWater > b.Outbox.Capacity || b.Outbox.Capacity != 1<<20 {
		t.Errorf("the outbox is %+v", b.Outbox)
	}
	if b.Dropped["overflow"] == 0 || b.lost() != b.Dropped["overflow"] {
		t.Errorf("dropped %v, want overflow alone", b.Dropped)
	}
	got := check(t, r.story("pbx1"))
	if stored := uint64(len(got.events)); stored+b.lost() != n || got.holes != b.lost() || got.told != b.lost() {
		t.Errorf("%d of %d events are stored and %d dropped; %d numbers are missing and the Gap events say %d",
			stored, n, b.lost(), got.holes, got.told)
	}
	for _, gap := range got.gaps {
		if gap.text("Reason") != "overflow" {
			t.Errorf("a gap is %s", gap.data)
		}
	}
	// The newest is what an outbox keeps.
	if last := got.events[len(got.events)-1]; last.seq != n || got.sessions != 1 {
		t.Errorf("the last event is number %d of %d, by %d sessions", last.seq, n, got.sessions)
	}
	if told := r.metric("gaps_total", "reason", "overflow"); told != float64(len(got.gaps)) || told == 0 {
		t.Errorf("gaps_total is %v, the stream holds %d", told, len(got.gaps))
	}
	if changes := r.changes(states); changes != 0 {
		t.Errorf("%d changes of state", changes)
	}
	t.Logf("%d stored, %d dropped, %d gaps", len(got.events), b.lost(), len(got.gaps))
}

// Events that were sent, given up after the acknowledgement's five seconds, and
// then pushed out of the outbox, may have reached NATS nevertheless. What the
// counters and the Gap events call lost must not be in the stream.
func TestChaos_WhatIsDroppedIsNotStored(t *testing.T) {
	nats := startNATS(t)
	sim, addr := startSim(t, amisim.Config{NotBooted: true})
	s := chaosServer("pbx1", addr)
	s.OutboxBytes = setting.MiB
	r := startBridge(t, nats.url, chaosConfig, s)
	nats.freeze()
	flood(t, sim, 1000)
	sentAgain(t, r)
	flood(t, sim, 20_000)
	nats.thaw()
	flood(t, sim, 1000)
	sent := uint64(sim.Emitted())
	b := r.settled("pbx1", sent)
	got := check(t, r.story("pbx1"))
	if stored := uint64(len(got.events)); stored+b.lost() != sent || got.holes != b.lost() || got.told != b.lost() {
		t.Errorf("%d of %d events are stored and %d dropped; %d numbers are missing and the Gap events say %d",
			stored, sent, b.lost(), got.holes, got.told)
	}
}

// A flood on one server and a slow second cost the third nothing. The flood lasts
// until the third is done, so that whoever waits for its end waits for ever.
func TestChaos_FloodBesideSlowAndNormal(t *testing.T) {
	flooding, floodAddr := startSim(t, amisim.Config{NotBooted: true})
	slow, slowAddr := startSim(t, amisim.Config{NotBooted: true})
	normal, normalAddr := startSim(t, amisim.Config{NotBooted: true})
	large := chaosServer("flood", floodAddr)
	large.OutboxBytes = 512 * setting.MiB
	r := startBridge(t, natsURL(t), chaosConfig, large, chaosServer("slow", slowAddr), chaosServer("one", normalAddr))
	states := r.subscribe("ami.status.*.connection")
	slow.Always("QueueStatus", amisim.Drip(64, 10*time.Millisecond))
	done := make(chan struct{})
	var group sync.WaitGroup
	group.Go(func() {
		for {
			flood(t, flooding, 10_000)
			// It need not grow for as long as this takes.
			for more := true; more; more = r.metric("outbox_bytes", "server", "flood") > 64<<20 {
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
	eventually(t, "a flood", func() bool { return flooding.Emitted() > 20_000 })
	slowly := r.ask("slow", "QueueStatus", "")
	for i := range 50 {
		slow.Emit("Event", "Tick", "N", fmt.Sprint(i))
	}
	undisturbed(t, r, normal, 60)
	stop()
	unharmed(t, r, 60)
	if got := r.answer(slowly); got.Error != nil || len(got.Events) != 8 {
		t.Errorf("the slow server's list has %d events, %+v", len(got.Events), got.Error)
	}
	r.noMore("slow", slowly)
	r.settled("slow", 50)
	ticks(t, check(t, r.story("slow")), 50)
	sent := uint64(flooding.Emitted())
	if b := r.settled("flood", sent); b.lost() != 0 || b.Received != sent {
		t.Errorf("of a flood of %d events %+v", sent, b)
	}
	if got := check(t, r.story("flood")); uint64(len(got.events)) != sent || got.holes != 0 {
		t.Errorf("%d of %d events of the flood are stored, with %d holes", len(got.events), sent, got.holes)
	}
	if changes := r.changes(states); changes != 0 {
		t.Errorf("%d changes of state", changes)
	}
	t.Logf("a flood of %d events", sent)
}

// Asterisk's clock jumps by hours, forward and back. Nothing that we do hangs
// on it. Our own clock cannot be set by a test; every duration of the bridge's is
// measured between two readings of time.Now, which Go takes from the monotonic
// clock.
func TestChaos_ClockOfTheServerJumps(t *testing.T) {
	sim, r := chaosBridge(t, amisim.Config{TimestampEvents: true}, func(s *config.ServerConfig) {
		s.PingInterval = 50 * time.Millisecond
	})
	states, events := r.subscribe("ami.status.pbx1.connection"), r.subscribe("ami.events.pbx1.Tick")
	n := 0
	for _, skew := range []time.Duration{0, 5 * time.Hour, -12 * time.Hour, 90 * 24 * time.Hour, -15 * time.Second} {
		sim.SetClock(skew)
		pings := sim.Received("Ping")
		came := hold(t, sim, "CoreStatus")
		slow := r.ask("pbx1", "CoreStatus", "")
		h := within(t, "the action", came)
		// An action is under way while the clock jumps on, and some Pings pass.
		sim.SetClock(-skew)
		eventually(t, "Pings", func() bool { return sim.Received("Ping") > pings+3 })
		sim.SetClock(skew)
		h.release <- ""
		msg := r.next(slow)
		succeeds(t, parse(t, msg))
		var took struct {
			MS float64 `json:"duration_ms"`
		}
		if err := json.Unmarshal(msg.Data, &took); err != nil || took.MS <= 0 || took.MS > 60_000 {
			t.Errorf("with the clock %v ahead an action took %v ms (%v)", skew, took.MS, err)
		}
		sim.Emit("Event", "Tick", "N", fmt.Sprint(n))
		n++
		at, err := time.Parse(time.RFC3339Nano, r.next(events).Header.Get("Ami-Time"))
		if age := time.Since(at); err != nil || age < -time.Second || age > patience {
			t.Errorf("with the clock %v ahead an event is %v old (%v)", skew, age, err)
		}
		r.noMore("pbx1", slow)
	}
	r.settled("pbx1", uint64(n))
	got := check(t, r.story("pbx1"))
	ticks(t, got, n)
	if got.sessions != 1 || len(got.gaps) != 0 {
		t.Errorf("%d sessions and %d gaps", got.sessions, len(got.gaps))
	}
	// The server's own time goes through as it was sent, back and forth.
	var stamps []string
	for _, e := range got.events {
		stamps = append(stamps, e.text("Timestamp"))
	}
	if slices.IsSorted(stamps) || slices.Contains(stamps, "") {
		t.Errorf("the Timestamps are %q", stamps)
	}
	if changes := r.changes(states); changes != 0 {
		t.Errorf("%d changes of state", changes)
	}
}
