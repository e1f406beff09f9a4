package load

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
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
)

// The ten invariants of the design, one test each, through the whole bridge.

// placeOf is where in the stream of events the last one of subject stands.
func placeOf(r *harness.Running, subject string) uint64 {
	r.T.Helper()
	js := harness.JetStream(r.T, r.Client)
	stream, err := js.Stream(r.T.Context(), streams.EventStream)
	if err != nil {
		r.T.Fatal(err)
	}
	last, err := stream.GetLastMsgForSubject(r.T.Context(), subject)
	if err != nil {
		r.T.Fatal(err)
	}
	return last.Sequence
}

// 1. Asterisk ends a session that takes nothing for its writetimeout, and so
// does the simulated one. Nothing takes the events, the outbox is full: it must
// not come to that.
func TestInvariant_NothingBlocksTheReader(t *testing.T) {
	sim, r := harness.ChaosBridge(t, amisim.Config{}, func(s *config.ServerConfig) { s.OutboxBytes = 256 << 10 })
	states := r.Subscribe("ami.status.pbx1.connection")
	bring := r.WithoutStream()
	const n = 50_000
	if err := sim.Flood(t.Context(), n, amisim.Traffic{Seed: 1}); err != nil {
		t.Fatal(err)
	}
	harness.Eventually(t, "every event is read", func() bool { return r.Metric("events_received_total", "server", "pbx1") == n })
	if n := r.Changes(states); n != 0 {
		t.Errorf("%d changes of state: a session was lost", n)
	}
	bring()
	r.Drained("pbx1", n)
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
			sim, r := harness.ChaosBridge(t, amisim.Config{}, nil)
			sim.Next("CoreSettings", test.fault)
			harness.Fails(t, r.Call("pbx1", "CoreSettings", "", "Ami-Timeout", "4s"), test.kind, test.sent)
			sim.Kick() // perhaps while the session comes back by itself
			harness.Eventually(t, "a session", func() bool { return r.Call("pbx1", "Ping", "").Error == nil })
			if n := sim.Received("CoreSettings"); n != 1 {
				t.Errorf("it was sent %d times", n)
			}
		})
	}
}

// 3. One server's flood, its backlog and its outage delay the events and actions
// of another by a turn, not by all that waits.
func TestInvariant_ServersAreIsolated(t *testing.T) {
	flood, floodAddr := harness.Sim(t, amisim.Config{NotBooted: true})
	quiet, quietAddr := harness.Sim(t, amisim.Config{NotBooted: true})
	r := harness.Bridge(t, harness.NATS(t), harness.ChaosConfig, harness.ChaosServer("flood", floodAddr), harness.ChaosServer("quiet", quietAddr))
	events := r.Subscribe("ami.events.quiet.>")
	published := func() float64 { return r.Metric("events_published_total", "server", "flood") }
	bring := r.WithoutStream()
	const backlog = 40_000
	if err := flood.Flood(t.Context(), backlog, amisim.Traffic{Seed: 2}); err != nil {
		t.Fatal(err)
	}
	harness.Eventually(t, "the flood is read", func() bool { return r.Metric("events_received_total", "server", "flood") == backlog })
	bring()
	harness.Eventually(t, "the backlog is being stored", func() bool { return published() > 1000 })
	// What is not acknowledged in time, on a busy machine, comes again.
	came := map[string]bool{}
	next := func() *nats.Msg {
		for {
			msg := r.Next(events)
			if seq := msg.Header.Get("Ami-Seq"); !came[seq] {
				came[seq] = true
				return msg
			}
		}
	}
	// How much of the flood was stored between the reading of an event of the
	// quiet server and its storing: what is in flight, and a turn. Both metrics
	// may be read late, which makes it less.
	quietly := func(what string) float64 { return r.Metric("events_"+what+"_total", "server", "quiet") }
	most := 0.0
	for i := range 10 {
		quiet.Emit("Event", "Tick")
		harness.Eventually(t, "the event is read", func() bool { return quietly("received") > float64(i) })
		before := published()
		next()
		harness.Eventually(t, "the event is stored", func() bool { return quietly("published") > float64(i) })
		most = max(most, float64(placeOf(r, "ami.events.quiet.Tick"))-float64(i)-before)
	}
	if most > backlog/2 {
		t.Errorf("up to %v events of the flood were stored before one of the quiet server", most)
	}
	flood.Always(amisim.Accept, amisim.Refuse)
	flood.Kick()
	for i := range 20 {
		quiet.Emit("Event", "Tick", "N", fmt.Sprint(i))
		if msg := next(); !strings.Contains(string(msg.Data), fmt.Sprintf(`"N":"%d"`, i)) {
			t.Fatalf("tick %d is %s", i, msg.Data)
		}
		harness.Succeeds(t, r.Call("quiet", "Ping", ""))
	}
	flood.Always(amisim.Accept, nil)
	r.Drained("flood", backlog)
}

// 4. Two bridges, two servers: an answer that carries another's ActionID
// reaches nobody.
func TestInvariant_NoCrossNodeContamination(t *testing.T) {
	sim, addr := harness.Sim(t, amisim.Config{NotBooted: true})
	url := harness.NATS(t)
	one := harness.Bridge(t, url, harness.ChaosConfig, harness.ChaosServer("pbx1", addr))
	two := harness.Bridge(t, url, func(c *config.Config) { harness.ChaosConfig(c); c.Node = "b2" }, harness.ChaosServer("pbx2", addr))
	came := harness.Hold(t, sim, "CoreStatus")
	pending := one.Ask("pbx1", "CoreStatus", "")
	h := harness.Within(t, "the action", came)
	if !strings.HasPrefix(h.ID, "b1.pbx1.") {
		t.Errorf("ActionID %s does not name its node and server", h.ID)
	}
	forged := "Response: Success\r\nActionID: " + h.ID + "\r\nMessage: forged\r\n\r\n"
	sim.Next("Getvar", amisim.Before(forged))
	if got := two.Call("pbx2", "Getvar", `{"Variable":"x"}`); got.Error != nil || got.Message == "forged" {
		t.Errorf("the other node's own action: %+v", got)
	}
	if n, _, _ := pending.Pending(); n != 0 {
		t.Fatalf("another node's session completed it: %s", one.Next(pending).Data)
	}
	h.Release <- ""
	if got := one.Answer(pending); got.Message == "forged" || got.Error != nil {
		t.Errorf("%+v", got)
	}
	if n := two.Metric("responses_unmatched_total", "server", "pbx2"); n != 1 {
		t.Errorf("%v unmatched responses were counted, want the forged one", n)
	}
}

// 5. A flood that nobody takes away does not grow the process.
func TestInvariant_MemoryIsBounded(t *testing.T) {
	const outbox = 1 << 20
	sim, r := harness.ChaosBridge(t, amisim.Config{}, func(s *config.ServerConfig) { s.OutboxBytes = outbox })
	bring := r.WithoutStream()
	before := harness.HeapNow()
	const n = 100_000
	if err := sim.Flood(t.Context(), n, amisim.Traffic{Seed: 5}); err != nil {
		t.Fatal(err)
	}
	harness.EveryEventIsRead(t, r, sim)
	// The simulator and the NATS server live in this process too.
	harness.HeapIsBack(t, before, 16<<20)
	if most := r.Metric("outbox_high_water_bytes", "server", "pbx1"); most > outbox+4096 {
		t.Errorf("the outbox held %v bytes", most)
	}
	bring()
	r.Drained("pbx1", n)
}

// 6. Every request ends, exactly once, whatever becomes of the session.
func TestInvariant_EveryPendingActionEnds(t *testing.T) {
	sim, r := harness.ChaosBridge(t, amisim.Config{}, nil) // its Actions have 100 s
	sim.Next("CoreStatus", amisim.Stall)                   // and nothing behind it is answered
	var pending []*nats.Subscription
	for range 200 {
		pending = append(pending, r.Ask("pbx1", "CoreStatus", ""))
	}
	timed := r.Ask("pbx1", "CoreSettings", "", "Ami-Timeout", "50ms")
	if got := r.Answer(timed); got.Error == nil || got.Error.Kind != "timeout" {
		t.Errorf("%+v", got)
	}
	states := r.Subscribe("ami.status.pbx1.connection")
	sim.Kick()
	for _, sub := range pending {
		if got := r.Answer(sub); got.Error == nil || got.Error.Kind != "connection_lost" && got.Error.Kind != "not_connected" {
			t.Fatalf("%+v", got)
		}
	}
	r.Await(states, 2, harness.SessionUp)
	r.NoMore("pbx1", append(pending, timed)...)
	harness.Eventually(t, "nothing is pending", func() bool { return r.Metric("actions_pending", "server", "pbx1") == 0 })
}

// 7. A handler that panics on one frame of one server loses that frame.
func TestInvariant_APanicStaysWhereItIs(t *testing.T) {
	bad, badAddr := harness.Sim(t, amisim.Config{NotBooted: true})
	good, goodAddr := harness.Sim(t, amisim.Config{NotBooted: true})
	logger := &harness.Explosive{}
	r := harness.BridgeLogging(t, zap.New(logger), harness.NATS(t), harness.ChaosConfig, harness.ChaosServer("bad", badAddr), harness.ChaosServer("good", goodAddr))
	states := r.Subscribe("ami.status.*.connection")
	bad.EmitRaw([]byte("neither event nor response\r\n\r\n"))
	bad.Emit("Event", "After")
	good.Emit("Event", "After")
	r.Drained("bad", 1)
	r.Drained("good", 1)
	if logger.Panics.Load() != 1 {
		t.Errorf("%d panics, want one", logger.Panics.Load())
	}
	if n := r.Changes(states); n != 0 {
		t.Errorf("%d changes of state", n)
	}
	harness.Succeeds(t, r.Call("bad", "Ping", ""))
}

// 8. A server that logs in and dies opens its breaker, and is tried less and less
// often; one that is down is not hammered either.
func TestInvariant_ReconnectsCannotStorm(t *testing.T) {
	t.Parallel()
	sim, addr := harness.Sim(t, amisim.Config{NotBooted: true})
	pbx1 := harness.Server("pbx1", addr, "bridge", "s3cret")
	pbx1.BreakerCooldown = time.Hour
	r := harness.Bridge(t, harness.NATS(t), harness.ChaosConfig, pbx1)
	breaker, states := r.Subscribe("ami.status.pbx1.breaker"), r.Subscribe("ami.status.pbx1.connection")
	sim.Always("Ping", amisim.Refuse) // the first after each login
	sim.Kick()
	opened := r.AwaitText(breaker, `"to":"open"`)
	if !strings.Contains(string(opened.Data), `"failures":5`) || !inWait(t, opened.Data) {
		t.Errorf("%s", opened.Data)
	}
	logins := sim.Received("Login")
	if logins > 2+2*5 { // of two sessions in each of five rounds
		t.Errorf("%d logins until it opened", logins)
	}
	harness.Eventually(t, "a call while it is open", func() bool { // it is tried again at times
		got := r.Call("pbx1", "CoreStatus", "")
		refused := got.Error != nil && got.Error.Kind == "breaker_open"
		if refused {
			harness.Fails(t, got, "breaker_open", "no")
		}
		return refused
	})
	r.AwaitText(states, `"sessions":{"action":"waiting","event":"waiting"}`)
	r.AwaitText(r.Subscribe("ami.nodes.b1"), `"ready":[]`)
	for wait := 0; wait < 3_000; { // milliseconds: they have doubled more than once
		var b struct {
			To        string
			RetryInMS int `json:"retry_in_ms"`
		}
		if err := json.Unmarshal(r.Next(breaker).Data, &b); err != nil {
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
	sim, r := harness.ChaosBridge(t, amisim.Config{}, func(s *config.ServerConfig) {
		s.OutboxBytes, s.MaxFrameBytes = 128<<10, 4096
	})
	states, statuses := r.Subscribe("ami.status.pbx1.connection"), r.Subscribe("ami.status.pbx1.gap")
	bring := r.WithoutStream()
	const n = 5000
	for i := range n {
		if i%1000 == 500 {
			sim.Emit("Event", "Large", "Filler", strings.Repeat("x", 5000))
			continue
		}
		sim.Emit("Event", "Tick", "N", fmt.Sprint(i))
	}
	harness.Eventually(t, "all are read", func() bool { return r.Metric("events_received_total", "server", "pbx1") == n })
	// The session's last number has to be in the stream: numbers that are
	// missing behind it would show nowhere but in the Gap.
	bring()
	r.Drained("pbx1", n)
	sim.Emit("Event", "Tick", "N", "last")
	r.Drained("pbx1", n+1)
	sim.Kick()
	r.Await(states, 2, harness.SessionUp)
	sim.Emit("Event", "Tick", "N", "after")
	b := r.Drained("pbx1", n+2)
	story := harness.CheckStory(t, r.Story("pbx1"))
	if story.LostByGaps != b.Lost() || b.Dropped["overflow"] == 0 || b.Dropped["oversize"] != n/1000 {
		t.Errorf("the Gaps tell of %d, dropped %v", story.LostByGaps, b.Dropped)
	}
	last := story.Gaps[len(story.Gaps)-1]
	if last.Text("Lost") != "unknown" || !harness.HungUp(last.Text("Reason")) || story.Sessions != 2 {
		t.Errorf("the last of %d sessions begins with %s", story.Sessions, last.Data)
	}
	if told := r.Metric("gaps_total", "server", "pbx1"); int(told) != len(story.Gaps) {
		t.Errorf("%v Gaps counted, %d in the stream", told, len(story.Gaps))
	}
	for i, gap := range story.Gaps {
		if status, event := gapStatus(t, r.Next(statuses).Data), gapEventAsStatus(t, gap.Data); status != event {
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
	sim, addr := harness.Sim(t, amisim.Config{Users: map[string]string{"bridge": canary}})
	good, bad := harness.ChaosServer("pbx1", addr), harness.ChaosServer("pbx2", addr)
	good.Secret, bad.Secret = canary, canary+"-wrong"
	core, lines := observer.New(zapcore.DebugLevel)
	url := harness.NATS(t)
	all := (&harness.Running{T: t, Client: harness.Client(t, url)}).Subscribe(">")
	cfg := func(c *config.Config) { harness.ChaosConfig(c); c.NATS.User, c.NATS.Password = "user", canary }
	r := harness.BridgeLogging(t, zap.New(core), url, cfg, good)
	other, err := bridge.New(func() config.Config {
		c := r.Config
		c.Node, c.Servers = "b2", []config.ServerConfig{bad}
		return c
	}(), bridge.Deps{Logger: zap.New(core)})
	if err != nil {
		t.Fatal(err)
	}
	refused := r.Subscribe("ami.status.pbx2.breaker")
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	group.Go(func() { _ = other.Run(ctx) })
	r.AwaitText(refused, `"reason":"auth"`)
	harness.Succeeds(t, r.Call("pbx1", "Setvar", `{"Variable":"X","Value":"y"}`))
	sim.Kick()
	cancel()
	group.Wait()
	families, err := r.Metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Stop(); err != nil {
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
	seen := r.Pending(all)
	for _, msg := range seen {
		if text := fmt.Sprint(msg.Subject, msg.Header, string(msg.Data)); strings.Contains(text, canary) {
			t.Errorf("NATS: %s", text)
		}
	}
	if len(seen) == 0 || lines.Len() == 0 {
		t.Errorf("%d messages and %d log lines were looked at", len(seen), lines.Len())
	}
}
