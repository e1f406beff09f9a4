//go:build unix

package faults

import (
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
)

// The faults of a single nats-server.

// killed: kill -9, and started again.
func killed(r *rig) {
	r.under(func() {
		r.nodes[0].Kill()
		pause(r.t, r.length)
		r.nodes[0].start()
	})
}

// frozen: connections stay open and nothing moves.
func frozen(r *rig) {
	r.under(func() {
		r.nodes[0].Signal(syscall.SIGSTOP)
		pause(r.t, r.length)
		r.nodes[0].Signal(syscall.SIGCONT)
	})
}

// smallDisk has NATS take this much.
func smallDisk(r *rig) { r.nodes[0].maxFile = strconv.Itoa(diskBytes) }

const diskBytes, ballastBytes = 384 << 20, 512 << 10

// filled: something else uses up all that NATS may store, and then goes.
func filled(r *rig) {
	fill := jetstream.StreamConfig{Name: "FILL", Subjects: []string{"fill"}}
	if _, err := r.js.CreateStream(r.t.Context(), fill); err != nil {
		r.t.Fatal(err)
	}
	ballast := make([]byte, ballastBytes)
	for range diskBytes/ballastBytes - 32 {
		if _, err := r.js.Publish(r.t.Context(), "fill", ballast); err != nil {
			r.t.Fatal(err)
		}
	}
	r.under(func() {
		for {
			if _, err := r.js.Publish(r.t.Context(), "fill", ballast); err != nil {
				break
			}
		}
		pause(r.t, r.length)
		if err := r.js.DeleteStream(r.t.Context(), "FILL"); err != nil {
			r.t.Fatal(err)
		}
	})
}

// limited: the stream may hold no more and refuses what is new, until it may.
func limited(r *rig) {
	r.under(func() {
		stream := r.stream()
		cfg := stream.CachedInfo().Config
		cfg.Discard, cfg.MaxBytes = jetstream.DiscardNew, int64(stream.CachedInfo().State.Bytes)+64<<10
		if _, err := r.js.UpdateStream(r.t.Context(), cfg); err != nil {
			r.t.Fatal(err)
		}
		pause(r.t, r.length)
		cfg.MaxBytes = -1
		if _, err := r.js.UpdateStream(r.t.Context(), cfg); err != nil {
			r.t.Fatal(err)
		}
	})
}

// limitedBySubject: no subject may hold more than a few beyond the fullest, until
// it may. The limit comes while nothing does, for it expels what is over it.
func limitedBySubject(r *rig) {
	r.bridge.settle(r.asterisks)
	info, err := r.stream().Info(r.t.Context(), jetstream.WithSubjectFilter("ami.events.>"))
	if err != nil {
		r.t.Fatal(err)
	}
	most := uint64(0)
	for _, n := range info.State.Subjects {
		most = max(most, n)
	}
	cfg := info.Config
	cfg.Discard, cfg.DiscardNewPerSubject, cfg.MaxMsgsPerSubject = jetstream.DiscardNew, true, int64(most)+20
	if _, err := r.js.UpdateStream(r.t.Context(), cfg); err != nil {
		r.t.Fatal(err)
	}
	r.under(func() {
		pause(r.t, r.length)
		if _, err := r.js.UpdateStream(r.t.Context(), info.Config); err != nil {
			r.t.Fatal(err)
		}
	})
}

// deleted: somebody deletes the stream, and makes it again. What it had
// acknowledged went with it; all else has to be in the new one.
func deleted(r *rig) {
	r.under(func() {
		cfg := r.stream().CachedInfo().Config
		if err := r.js.DeleteStream(r.t.Context(), streams.EventStream); err != nil {
			r.t.Fatal(err)
		}
		pause(r.t, r.length)
		// Every acknowledgement of the old one has come by now.
		for name, m := range r.bridge.By("server") {
			r.gone[name] = int(m["events_published_total"])
		}
		if _, err := r.js.CreateStream(r.t.Context(), cfg); err != nil {
			r.t.Fatal(err)
		}
	})
}

// revoked: the bridge's user is struck from the configuration, which cuts its
// connections, and put back.
func revoked(r *rig) {
	r.under(func() {
		r.nodes[0].revoked = true
		r.nodes[0].reload()
		pause(r.t, r.length)
		r.nodes[0].revoked = false
		r.nodes[0].reload()
	})
}

// withLoud adds an Asterisk whose events are of 100 KiB.
func withLoud(r *rig) { r.loud = startAsterisk(r.t, "loud") }

// lowered: the server takes less than some events have, and then as much as
// before. Each that is too large is a Gap, and counted; what comes later is
// stored. The connection that the server closes for it carries all others.
func lowered(r *rig) {
	large := []byte("Event: Large\r\nPrivilege: call,all\r\n" + strings.Repeat("V: "+strings.Repeat("x", 1000)+"\r\n", 100) + "\r\n")
	count := func(name string) float64 { return r.bridge.By("server")["loud"][name] }
	emit := func() { r.loud.sim.EmitRaw(large); pause(r.t, 100*time.Millisecond) }
	r.under(func() {
		emit()
		harness.Eventually(r.t, "a large event is stored", func() bool { return count("events_published_total") == 1 })
		r.nodes[0].limit = "max_payload: 64KB"
		r.nodes[0].reload()
		for end := time.Now().Add(r.length); time.Now().Before(end); {
			emit()
		}
		r.nodes[0].limit = ""
		r.nodes[0].reload()
		raised := time.Now()
		harness.Eventually(r.t, "a large event is stored again", func() bool { emit(); return count("events_published_total") > 2 })
		if took := time.Since(raised); took > 30*time.Second {
			r.t.Errorf("a large event was stored %v after it was allowed again", took)
		}
	})
	if count("events_dropped_total") < 2 || count("gaps_total") < 2 {
		r.t.Errorf("of the large events %v were dropped, %v Gaps tell of it", count("events_dropped_total"), count("gaps_total"))
	}
}

// denied: the bridge may neither publish events nor hear anything, and then may
// again.
func denied(r *rig) {
	r.under(func() {
		r.nodes[0].rights = `permissions: { publish: { deny: "ami.events.>" }, subscribe: { deny: ">" } }`
		r.nodes[0].reload()
		pause(r.t, r.length)
		r.nodes[0].rights = ""
		r.nodes[0].reload()
	})
}

// crowded: the account takes fewer connections and subscriptions than it has.
func crowded(r *rig) {
	r.under(func() {
		r.nodes[0].account = "limits: { max_connections: 1, max_subscriptions: 1 }"
		r.nodes[0].reload()
		pause(r.t, r.length)
		r.nodes[0].account = ""
		r.nodes[0].reload()
	})
}

var faults = []fault{
	{id: "killed", name: "kill -9 of the only server; started again after 5 s", nodes: 1, short: ways[:1],
		length: 5 * time.Second, outage: true, happen: killed},
	{id: "frozen", name: "the only server frozen (SIGSTOP) for 20 s", nodes: 1, short: ways[:1],
		length: 20 * time.Second, outage: true, happen: frozen},
	{id: "disk-full", name: "no room to store for 5 s: `max_file_store` used up by others", nodes: 1,
		length: 5 * time.Second, outage: true, prepare: smallDisk, happen: filled},
	{id: "enospc", name: "the disk full for 5 s; room made and nats-server started again", nodes: 1,
		length: 5 * time.Second, outage: true, prepare: tinyDisk, happen: diskFull},
	{id: "max-bytes", name: "the stream's `max_bytes` reached, `discard: new`; raised after 5 s", nodes: 1,
		length: 5 * time.Second, outage: true, kept: true, singles: true, happen: limited},
	{id: "per-subject", name: "the stream's `max_msgs_per_subject` reached, `discard_new_per_subject`; raised after 5 s", nodes: 1, short: ways[:1],
		length: 5 * time.Second, outage: true, kept: true, singles: true, happen: limitedBySubject},
	{id: "deleted", name: "the stream deleted; made again after 5 s (what it had acknowledged left out)", nodes: 1,
		length: 5 * time.Second, outage: true, kept: true, happen: deleted},
	{id: "revoked", name: "credentials revoked; restored after 5 s", nodes: 1, short: ways[:1],
		length: 5 * time.Second, outage: true, happen: revoked},
	{id: "max-payload", name: "`max_payload` lowered under the size of some events, and raised after 5 s (those are Gaps, and left out)", nodes: 1,
		short: ways[:1], length: 5 * time.Second, prepare: withLoud, happen: lowered},
	{id: "rights", name: "the rights to publish events and to subscribe taken; given back after 5 s", nodes: 1, short: ways[:1],
		length: 5 * time.Second, outage: true, happen: denied},
	{id: "limits", name: "the limits of the account reached (connections, subscriptions); raised after 5 s", nodes: 1, short: ways[:1],
		length: 5 * time.Second, outage: true, happen: crowded},
	{id: "blackhole", name: "partition: nothing passes between bridge and server for 8 s, connections open", nodes: 1,
		length: 8 * time.Second, outage: true, prepare: throughProxy, happen: blackholed},
	{id: "reset", name: "partition: connections reset and refused for 5 s", nodes: 1,
		length: 5 * time.Second, outage: true, prepare: throughProxy, happen: reset},
	{id: "flapping", name: "connections reset every 300 ms for 5 s", nodes: 1,
		length: 5 * time.Second, prepare: throughProxy, happen: flapping},
	{id: "slow-acks", name: "acknowledgements delayed by 1 s for 5 s", nodes: 1,
		length: 5 * time.Second, prepare: throughProxy, happen: slow(time.Second)},
	{id: "late-acks", name: "acknowledgements delayed by 6 s, longer than the bridge waits, for 12 s", nodes: 1,
		length: 12 * time.Second, outage: true, prepare: throughProxy, happen: slow(6 * time.Second)},
	{id: "lost-acks", name: "what is published arrives, no acknowledgement comes back, for 8 s", nodes: 1, short: ways,
		length: 8 * time.Second, outage: true, prepare: throughProxy, happen: unheardOf},
	{id: "forgotten", name: "the same, for longer than the stream's duplicate window", nodes: 1,
		length: 8 * time.Second, outage: true, kept: true, prepare: throughProxy, configure: briefWindow, happen: forgotten},
	{id: "stepdown", name: "3 replicas: the leader steps down, 5 times", nodes: 3,
		length: 8 * time.Second, happen: steppedDown},
	{id: "rescaled", name: "3 replicas: made 1, 3, 1 and 3 again", nodes: 3,
		length: 8 * time.Second, kept: true, happen: rescaled},
	{id: "moved", name: "1 replica in a cluster of 3: moved to another server, 4 times", nodes: 3,
		length: 8 * time.Second, kept: true, prepare: tagged, configure: oneCopy, happen: moved},
	{id: "leader", name: "3 replicas: kill -9 of the leader; started again after 6 s", nodes: 3,
		length: 6 * time.Second, happen: leaderKilled},
	{id: "own-server", name: "3 replicas: kill -9 of the server that the bridge is connected to; started again after 5 s", nodes: 3,
		length: 5 * time.Second, happen: ownServerKilled},
	{id: "leader-alone", name: "3 replicas: the leader cut off from the two others for 8 s", nodes: 3,
		length: 8 * time.Second, prepare: throughLinks, happen: leaderAlone},
	{id: "own-server-alone", name: "3 replicas: the leader, with the bridge, cut off from the two others for 10 s", nodes: 3,
		length: 10 * time.Second, outage: true, prepare: throughLinks, happen: ownServerAlone},
	{id: "all-killed", name: "3 replicas: kill -9 of all three at once; started again after 3 s", nodes: 3,
		length: 3 * time.Second, outage: true, happen: allKilled},
	{id: "denied", name: "one event name of one server denied for 80 s", nodes: 1, singles: true,
		length: 80 * time.Second, prepare: throughProxy, happen: oneDenied},
	{id: "stepdown-2.12", name: "3 replicas of nats-server 2.12.0: the leader steps down, 45 times", nodes: 3, release: oldRelease,
		length: 18 * time.Second, happen: leadersChanged(45)},
	{id: "upgrade-2.12", name: "3 replicas of nats-server 2.12.0, upgraded one after another", nodes: 3, release: oldRelease,
		ends: fastIngest, length: 15 * time.Second, happen: upgraded},
}
