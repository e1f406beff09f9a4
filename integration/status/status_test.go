package status

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
)

// spoken is what every status says of itself.
type spoken struct {
	subject string
	at      time.Time
	body    struct{ At, Role, From, To, Reason string }
}

// hear reads all that has come.
func hear(t *testing.T, sub *nats.Subscription) (all []spoken) {
	t.Helper()
	for n, _, _ := sub.Pending(); n > 0; n-- {
		msg, err := sub.NextMsg(time.Second)
		if err != nil {
			t.Fatal(err)
		}
		s := spoken{subject: msg.Subject}
		if err := json.Unmarshal(msg.Data, &s.body); err != nil {
			t.Fatalf("%v in %s", err, msg.Data)
		}
		if s.at, err = time.Parse(time.RFC3339Nano, s.body.At); err != nil {
			t.Fatalf("%v in %s", err, msg.Data)
		}
		all = append(all, s)
	}
	return all
}

// While NATS is away the state changes hundreds of times, more often than is
// kept. On its return the newest of each comes before anything that has happened
// since; and what did not change meanwhile is said once more.
func TestStatus_NewestOfEachComesFirstOnReturn(t *testing.T) {
	t.Parallel()
	url := harness.NATS(t)
	way := harness.StartRelay(t, url[len("nats://"):])
	sim, addr := harness.Sim(t, amisim.Config{NotBooted: true})
	flapping, steady := harness.ChaosServer("pbx1", addr), harness.ChaosServer("pbx2", addr)
	flapping.BackoffMin, flapping.BackoffMax = time.Millisecond, 2*time.Millisecond
	flapping.BreakerFailures, flapping.BreakerCooldown, flapping.StableAfter = 3, 10*time.Millisecond, time.Second
	_, steady.Addr = harness.Sim(t, amisim.Config{NotBooted: true})
	r := harness.Bridge(t, "nats://"+way.Addr, func(c *config.Config) { harness.ChaosConfig(c); c.ConnectRate = 10_000 }, flapping, steady)
	changes := func() float64 {
		return r.Metric("session_failures_total", "server", "pbx1") + r.Metric("breaker_transitions_total", "server", "pbx1")
	}
	direct := &harness.Running{T: t, Client: harness.Client(t, url)} // sees NATS while the bridge does not
	statuses, nodes := direct.Subscribe("ami.status.>"), direct.Subscribe("ami.nodes.>")
	heard := map[string]spoken{}
	harness.Eventually(t, "each buffers and node before", func() bool {
		for _, s := range append(hear(t, statuses), hear(t, nodes)...) {
			heard[s.subject] = s
		}
		return len(heard) >= 3 // the rest was said before
	})

	back := way.Close()
	sim.Always(amisim.Accept, amisim.Refuse)
	sim.Kick()
	harness.Eventually(t, "more changes than are kept", func() bool { return changes() > 400 })
	sim.Always(amisim.Accept, nil)
	harness.Eventually(t, "both sessions are up", func() bool { return r.Metric("ami_session_up", "server", "pbx1") == 2 })
	harness.Eventually(t, "the breaker is closed", func() bool { return r.Metric("breaker_state", "server", "pbx1", "state", "closed") == 1 })
	hear(t, statuses)
	returned := time.Now()
	back()

	want := map[string]bool{
		"connection event": true, "connection action": true, "breaker": true, "gap": true, "buffers": true, "node": true,
		"connection event of pbx2": true, "connection action of pbx2": true, "breaker of pbx2": true, "buffers of pbx2": true,
	}
	newest, order := map[string]spoken{}, []spoken(nil)
	harness.Eventually(t, "each state", func() bool {
		for _, s := range append(hear(t, statuses), hear(t, nodes)...) {
			newest[s.kind()] = s
			order = append(order, s)
		}
		for kind := range want {
			if _, ok := newest[kind]; !ok {
				return false
			}
		}
		to := func(kind string) string { return newest[kind].body.To }
		return to("connection event") == "up" && to("connection action") == "up" && to("breaker") == "closed"
	})
	again := map[string]bool{"connection event of pbx2": true, "connection action of pbx2": true, "breaker of pbx2": true}
	later, seen := false, map[string]bool{}
	for i, s := range order[:min(len(order), 1000)] {
		said := s.kind() + s.body.At
		if s.subject == "ami.nodes.b1" || again[s.kind()] || seen[said] {
			continue // of a subscription of its own, or said once more
		}
		seen[said] = true
		if old := s.at.Before(returned); old && later {
			t.Errorf("message %d, %s of %v before the return, came behind a newer one", i, s.kind(), returned.Sub(s.at))
		} else if !old {
			later = true
		}
	}
	waited := 0
	for _, s := range order {
		if s.at.Before(returned) {
			waited++
		}
	}
	if waited > 300 {
		t.Errorf("%d messages from before came on return: what waits is not bounded", waited)
	}
}

// kind is the state that s is of.
func (s spoken) kind() string {
	if s.subject == "ami.nodes.b1" {
		return "node"
	}
	server, what := s.subject[len("ami.status."):][:4], s.subject[len("ami.status.pbx1."):]
	if what == "connection" {
		what += " " + s.body.Role
	}
	if server != "pbx1" {
		what += " of " + server
	}
	return what
}
