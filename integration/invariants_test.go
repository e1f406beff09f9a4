package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
)

// The ten invariants of the design, one test each, through the whole bridge.

// withoutStream takes the stream of events away and returns a function that
// brings it back, once each server has seen that it is gone: a stream that comes
// in the middle of a first burst gets its end before its beginning.
func (r *running) withoutStream() (bring func()) {
	r.t.Helper()
	bringBack := takeStream(r.t, r.nc, streams.EventStream)
	return func() {
		r.t.Helper()
		eventually(r.t, "no server sends more than one event at a time", func() bool {
			return r.metric("outbox_in_flight_events") <= float64(len(r.cfg.Servers))
		})
		bringBack()
	}
}

// place is where in the stream of events the last one of subject stands.
func (r *running) place(subject string) uint64 {
	r.t.Helper()
	js := api(r.t, r.nc)
	stream, err := js.Stream(r.t.Context(), streams.EventStream)
	if err != nil {
		r.t.Fatal(err)
	}
	last, err := stream.GetLastMsgForSubject(r.t.Context(), subject)
	if err != nil {
		r.t.Fatal(err)
	}
	return last.Sequence
}

// 1. Asterisk ends a session that takes nothing for its writetimeout, and so
// does the simulated one. Nothing takes the events, the outbox is full: it must
// not come to that.
func TestInvariant_NothingBlocksTheReader(t *testing.T) {
	sim, r := chaosBridge(t, amisim.Config{}, func(s *config.ServerConfig) { s.OutboxBytes = 256 << 10 })
	states := r.subscribe("ami.status.pbx1.connection")
	bring := r.withoutStream()
	const n = 50_000
	if err := sim.Flood(t.Context(), n, amisim.Traffic{Seed: 1}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "every event is read", func() bool { return r.metric("events_received_total", "server", "pbx1") == n })
	if n := r.changes(states); n != 0 {
		t.Errorf("%d changes of state: a session was lost", n)
	}
	bring()
	r.settled("pbx1", n)
}

// 2. What Asterisk did not say is an error that says what reached it, and
// nothing is sent twice.
func TestInvariant_NoSyntheticSuccess(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name       string
		fault      amisim.Fault
		kind, sent string
	}{
		{"no answer", amisim.Ignore, "timeout", "unknown"},
		{"closed instead of an answer", amisim.Refuse, "connection_lost", "unknown"},
		{"refused", amisim.Deny("Permission denied"), "asterisk_error", "yes"},
		{"another's answer", amisim.WithActionID("b9.pbx1.x.1"), "timeout", "unknown"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			sim, r := chaosBridge(t, amisim.Config{}, nil)
			sim.Next("CoreSettings", test.fault)
			fails(t, r.call("pbx1", "CoreSettings", "", "Ami-Timeout", "4s"), test.kind, test.sent)
			sim.Kick() // perhaps while the session comes back by itself
			eventually(t, "a session", func() bool { return r.call("pbx1", "Ping", "").Error == nil })
			if n := sim.Received("CoreSettings"); n != 1 {
				t.Errorf("it was sent %d times", n)
			}
		})
	}
}

// 3. One server's flood, its backlog and its outage delay the events and actions
// of another by a turn, not by all that waits.
func TestInvariant_ServersAreIsolated(t *testing.T) {
	flood, floodAddr := startSim(t, amisim.Config{NotBooted: true})
	quiet, quietAddr := startSim(t, amisim.Config{NotBooted: true})
	r := startBridge(t, natsURL(t), chaosConfig, chaosServer("flood", floodAddr), chaosServer("quiet", quietAddr))
	events := r.subscribe("ami.events.quiet.>")
	published := func() float64 { return r.metric("events_published_total", "server", "flood") }
	bring := r.withoutStream()
	const backlog = 40_000
	if err := flood.Flood(t.Context(), backlog, amisim.Traffic{Seed: 2}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the flood is read", func() bool { return r.metric("events_received_total", "server", "flood") == backlog })
	bring()
	eventually(t, "the backlog is being stored", func() bool { return published() > 1000 })
	// How much of the flood was stored between the reading of an event of the
	// quiet server and its storing: what is in flight, and a turn. Both metrics
	// may be read late, which makes it less.
	quietly := func(what string) float64 { return r.metric("events_"+what+"_total", "server", "quiet") }
	most := 0.0
	for i := range 10 {
		quiet.Emit("Event", "Tick")
		eventually(t, "the event is read", func() bool { return quietly("received") > float64(i) })
		before := published()
		r.next(events)
		eventually(t, "the event is stored", func() bool { return quietly("published") > float64(i) })
		most = max(most, float64(r.place("ami.events.quiet.Tick"))-float64(i)-before)
	}
	if most > backlog/2 {
		t.Errorf("up to %v events of the flood were stored before one of the quiet server", most)
	}
	flood.Always(amisim.Accept, amisim.Refuse)
	flood.Kick()
	for i := range 20 {
		quiet.Emit("Event", "Tick", "N", fmt.Sprint(i))
		if msg := r.next(events); !strings.Contains(string(msg.Data), fmt.Sprintf(`"N":"%d"`, i)) {
			t.Fatalf("tick %d is %s", i, msg.Data)
		}
		succeeds(t, r.call("quiet", "Ping", ""))
	}
	flood.Always(amisim.Accept, nil)
	r.settled("flood", backlog)
}

// 4. Two bridges, two servers: an answer that carries another's ActionID
// reaches nobody.
func TestInvariant_NoCrossNodeContamination(t *testing.T) {
	sim, addr := startSim(t, amisim.Config{NotBooted: true})
	url := natsURL(t)
	one := startBridge(t, url, chaosConfig, chaosServer("pbx1", addr))
	two := startBridge(t, url, func(c *config.Config) { chaosConfig(c); c.Node = "b2" }, chaosServer("pbx2", addr))
	came := hold(t, sim, "CoreStatus")
	pending := one.ask("pbx1", "CoreStatus", "")
	h := within(t, "the action", came)
	if !strings.HasPrefix(h.id, "b1.pbx1.") {
		t.Errorf("ActionID %s does not name its node and server", h.id)
	}
	forged := "Response: Success\r\nActionID: " + h.id + "\r\nMessage: forged\r\n\r\n"
	sim.Next("Getvar", amisim.Before(forged))
	if got := two.call("pbx2", "Getvar", `{"Variable":"x"}`); got.Error != nil || got.Message == "forged" {
		t.Errorf("the other node's own action: %+v", got)
	}
	if n, _, _ := pending.Pending(); n != 0 {
		t.Fatalf("another node's session completed it: %s", one.next(pending).Data)
	}
	h.release <- ""
	if got := one.answer(pending); got.Message == "forged" || got.Error != nil {
		t.Errorf("%+v", got)
	}
	if n := two.metric("responses_unmatched_total", "server", "pbx2"); n != 1 {
		t.Errorf("%v unmatched responses were counted, want the forged one", n)
	}
}

// 5. A flood that nobody takes away does not grow the process.
func TestInvariant_MemoryIsBounded(t *testing.T) {
	const outbox = 1 << 20
	sim, r := chaosBridge(t, amisim.Config{}, func(s *config.ServerConfig) { s.OutboxBytes = outbox })
	bring := r.withoutStream()
	before := heapNow()
	const n = 100_000
	if err := sim.Flood(t.Context(), n, amisim.Traffic{Seed: 5}); err != nil {
		t.Fatal(err)
	}
	everyEventIsRead(t, r, sim)
	// The simulator and the NATS server live in this process too.
	heapIsBack(t, before, 16<<20)
	if most := r.metric("outbox_high_water_bytes", "server", "pbx1"); most > outbox+4096 {
		t.Errorf("the outbox held %v bytes", most)
	}
	bring()
	r.settled("pbx1", n)
}

// 6. Every request ends, exactly once, whatever becomes of the session.
func TestInvariant_EveryPendingActionEnds(t *testing.T) {
	sim, r := chaosBridge(t, amisim.Config{}, nil) // its Actions have 100 s
	sim.Next("CoreStatus", amisim.Stall)           // and nothing behind it is answered
	var pending []*nats.Subscription
	for range 200 {
		pending = append(pending, r.ask("pbx1", "CoreStatus", ""))
	}
	timed := r.ask("pbx1", "CoreSettings", "", "Ami-Timeout", "50ms")
	if got := r.answer(timed); got.Error == nil || got.Error.Kind != "timeout" {
		t.Errorf("%+v", got)
	}
	states := r.subscribe("ami.status.pbx1.connection")
	sim.Kick()
	for _, sub := range pending {
		if got := r.answer(sub); got.Error == nil || got.Error.Kind != "connection_lost" && got.Error.Kind != "not_connected" {
			t.Fatalf("%+v", got)
		}
	}
	r.await(states, 2, up)
	r.noMore("pbx1", append(pending, timed)...)
	eventually(t, "nothing is pending", func() bool { return r.metric("actions_pending", "server", "pbx1") == 0 })
}

// 7. A handler that panics on one frame of one server loses that frame.
func TestInvariant_APanicStaysWhereItIs(t *testing.T) {
	bad, badAddr := startSim(t, amisim.Config{NotBooted: true})
	good, goodAddr := startSim(t, amisim.Config{NotBooted: true})
	logger := &explosive{}
	r := startLogging(t, zap.New(logger), natsURL(t), chaosConfig, chaosServer("bad", badAddr), chaosServer("good", goodAddr))
	states := r.subscribe("ami.status.*.connection")
	bad.EmitRaw([]byte("neither event nor response\r\n\r\n"))
	bad.Emit("Event", "After")
	good.Emit("Event", "After")
	r.settled("bad", 1)
	r.settled("good", 1)
	if logger.panics.Load() != 1 {
		t.Errorf("%d panics, want one", logger.panics.Load())
	}
	if n := r.changes(states); n != 0 {
		t.Errorf("%d changes of state", n)
	}
	succeeds(t, r.call("bad", "Ping", ""))
}

// 8. A server that logs in and dies opens its breaker, and is tried less and less
// often; one that is down is not hammered either.
func TestInvariant_ReconnectsCannotStorm(t *testing.T) {
	sim, addr := startSim(t, amisim.Config{NotBooted: true})
	pbx1 := server("pbx1", addr, "bridge", "s3cret")
	pbx1.BreakerCooldown = time.Hour
	r := startBridge(t, natsURL(t), chaosConfig, pbx1)
	breaker, states := r.subscribe("ami.status.pbx1.breaker"), r.subscribe("ami.status.pbx1.connection")
	sim.Always("Ping", amisim.Refuse) // the first after each login
	sim.Kick()
	opened := r.awaitText(breaker, `"to":"open"`)
	if !strings.Contains(string(opened.Data), `"failures":5`) || !inWait(t, opened.Data) {
		t.Errorf("%s", opened.Data)
	}
	logins := sim.Received("Login")
	if logins > 2+2*5 { // of two sessions in each of five rounds
		t.Errorf("%d logins until it opened", logins)
	}
	fails(t, r.call("pbx1", "CoreStatus", ""), "breaker_open", "no")
	r.awaitText(states, `"sessions":{"action":"waiting","event":"waiting"}`)
	r.awaitText(r.subscribe("ami.nodes.b1"), `"ready":[]`)
	for wait := 0; wait < 3_000; { // milliseconds: they have doubled more than once
		var b struct {
			To        string
			RetryInMS int `json:"retry_in_ms"`
		}
		if err := json.Unmarshal(r.next(breaker).Data, &b); err != nil {
			t.Fatal(err)
		}
		if b.To == "open" {
			wait = b.RetryInMS
		}
	}
	if n := sim.Received("Login"); n > logins+2*7 {
		t.Errorf("%d logins while the waits grew to 3 s", n-logins)
	}
}

// inWait reports whether a breaker that opens does so for its first cooldown.
func inWait(t *testing.T, opened []byte) bool {
	t.Helper()
	var b struct {
		RetryInMS int `json:"retry_in_ms"`
	}
	if err := json.Unmarshal(opened, &b); err != nil {
		t.Fatal(err)
	}
	return b.RetryInMS > 0 && b.RetryInMS <= 1000
}

// 9. Events are lost in every way there is. The law holds throughout, and the
// Gaps account for each missing number.
func TestInvariant_EveryLossIsTold(t *testing.T) {
	sim, r := chaosBridge(t, amisim.Config{}, func(s *config.ServerConfig) {
		s.OutboxBytes, s.MaxFrameBytes = 128<<10, 4096
	})
	states, statuses := r.subscribe("ami.status.pbx1.connection"), r.subscribe("ami.status.pbx1.gap")
	bring := r.withoutStream()
	const n = 5000
	for i := range n {
		if i%1000 == 500 {
			sim.Emit("Event", "Large", "Filler", strings.Repeat("x", 5000))
			continue
		}
		sim.Emit("Event", "Tick", "N", fmt.Sprint(i))
	}
	eventually(t, "all are read", func() bool { return r.metric("events_received_total", "server", "pbx1") == n })
	// The session's last number has to be in the stream: numbers that are
	// missing behind it would show nowhere but in the Gap.
	bring()
	r.settled("pbx1", n)
	sim.Emit("Event", "Tick", "N", "last")
	r.settled("pbx1", n+1)
	sim.Kick()
	r.await(states, 2, up)
	sim.Emit("Event", "Tick", "N", "after")
	b := r.settled("pbx1", n+2)
	story := check(t, r.story("pbx1"))
	if story.told != b.lost() || b.Dropped["overflow"] == 0 || b.Dropped["oversize"] != n/1000 {
		t.Errorf("the Gaps tell of %d, dropped %v", story.told, b.Dropped)
	}
	last := story.gaps[len(story.gaps)-1]
	if last.text("Lost") != "unknown" || !hungUp(last.text("Reason")) || story.sessions != 2 {
		t.Errorf("the last of %d sessions begins with %s", story.sessions, last.data)
	}
	if told := r.metric("gaps_total", "server", "pbx1"); int(told) != len(story.gaps) {
		t.Errorf("%v Gaps counted, %d in the stream", told, len(story.gaps))
	}
	for i, gap := range story.gaps {
		if status, event := gapStatus(t, r.next(statuses).Data), gapEventAsStatus(t, gap.data); status != event {
			t.Errorf("status %d is %+v, its event says %+v", i, status, event)
		}
	}
	if n, _, _ := statuses.Pending(); n != 0 {
		t.Errorf("%d statuses more than Gaps", n)
	}
}

// 10. The secrets of a full run, failing logins included, are in no message on
// NATS, no log line at debug level and no metric.
func TestInvariant_SecretsNeverLeave(t *testing.T) {
	const canary = "c4n4ry-s3cret"
	sim, addr := startSim(t, amisim.Config{Users: map[string]string{"bridge": canary}})
	good, bad := chaosServer("pbx1", addr), chaosServer("pbx2", addr)
	good.Secret, bad.Secret = canary, canary+"-wrong"
	core, lines := observer.New(zapcore.DebugLevel)
	url := natsURL(t)
	all := (&running{t: t, nc: connect(t, url)}).subscribe(">")
	cfg := func(c *config.Config) { chaosConfig(c); c.NATS.User, c.NATS.Password = "user", canary }
	r := startLogging(t, zap.New(core), url, cfg, good)
	other, err := bridge.New(func() config.Config {
		c := r.cfg
		c.Node, c.Servers = "b2", []config.ServerConfig{bad}
		return c
	}(), bridge.Deps{Logger: zap.New(core)})
	if err != nil {
		t.Fatal(err)
	}
	refused := r.subscribe("ami.status.pbx2.breaker")
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	group.Go(func() { _ = other.Run(ctx) })
	r.awaitText(refused, `"reason":"auth"`)
	succeeds(t, r.call("pbx1", "Setvar", `{"Variable":"X","Value":"y"}`))
	sim.Kick()
	cancel()
	group.Wait()
	families, err := r.seen.Gather()
	if err != nil {
		t.Fatal(err)
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	if text := fmt.Sprint(families); strings.Contains(text, canary) {
		t.Error("a metric holds the secret")
	}
	for _, line := range lines.All() {
		if text := fmt.Sprint(line.LoggerName, line.Message, line.ContextMap()); strings.Contains(text, canary) {
			t.Errorf("log: %s", text)
		}
	}
	seen := r.pending(all)
	for _, msg := range seen {
		if text := fmt.Sprint(msg.Subject, msg.Header, string(msg.Data)); strings.Contains(text, canary) {
			t.Errorf("NATS: %s", text)
		}
	}
	if len(seen) == 0 || lines.Len() == 0 {
		t.Errorf("%d messages and %d log lines were looked at", len(seen), lines.Len())
	}
}
