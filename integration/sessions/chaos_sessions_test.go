package sessions

import (
	"encoding/json"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/setting"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/longtest"
)

// A peer that says nothing is given up, its actions end, and a Gap tells of it.
func TestChaos_SilentPeer(t *testing.T) {
	t.Parallel()
	sim, r := harness.ChaosBridge(t, amisim.Config{}, func(s *config.ServerConfig) {
		s.PingInterval, s.ReadTimeout = 300*time.Millisecond, 6*time.Second
	})
	states, status := r.Subscribe("ami.status.pbx1.connection"), r.Subscribe("ami.status.pbx1.gap")
	sim.Emit("Event", "Tick", "N", "0")
	r.Drained("pbx1", 1)
	thaw := sim.FreezeWrites()
	began := time.Now()
	pending := r.Ask("pbx1", "CoreStatus", "", "Ami-Timeout", "4s")
	harness.Fails(t, r.Answer(pending), "timeout", "unknown")
	for _, end := range r.Await(states, 2, harness.SessionLost) {
		if end.Reason != "read_timeout" && end.Reason != "ping" {
			t.Errorf("a session ended with %+v", end)
		}
	}
	if took := time.Since(began); took < 3*time.Second {
		t.Errorf("it took %v to see that the peer is silent", took)
	}
	thaw()
	r.Await(states, 2, harness.SessionUp)
	events := r.Subscribe("ami.events.pbx1.Tick")
	sim.Emit("Event", "Tick", "N", "1")
	r.Next(events)
	r.Next(status)
	r.Drained("pbx1", 2)
	got := harness.CheckStory(t, r.Story("pbx1"))
	harness.Ticks(t, got, 2)
	if len(got.Gaps) != 1 || got.Sessions != 2 {
		t.Fatalf("%d gaps, %d sessions", len(got.Gaps), got.Sessions)
	}
	gap := got.Gaps[0]
	if reason := gap.Text("Reason"); reason != "read_timeout" && reason != "ping" || gap.Text("Lost") != "unknown" {
		t.Errorf("the gap is %s", gap.Data)
	}
	if gap.Text("Restarted") != "unknown" { // this one sends no FullyBooted
		t.Errorf("the gap claims to know whether the server has restarted: %s", gap.Data)
	}
	r.NoMore("pbx1", pending)
}

// A list that the server breaks off is no success, whether it is cut between
// two frames or within one, and the session of the events is not touched.
func TestChaos_FINMidList(t *testing.T) {
	sim, r := harness.ChaosBridge(t, amisim.Config{}, func(s *config.ServerConfig) {
		s.PingInterval = time.Minute // a Ping into the closed session may end it before it is read to its end
	})
	states := r.Subscribe("ami.status.pbx1.connection")
	sim.Emit("Event", "Tick", "N", "0")
	cuts := []int{0, 30, 333, 1000, 2000}
	for _, cut := range cuts {
		sim.Next("QueueStatus", amisim.CutAfter(cut))
		list := r.Ask("pbx1", "QueueStatus", "")
		sent := "unknown"
		if cut > 300 {
			sent = "yes" // its Response was read
		}
		harness.Fails(t, r.Answer(list), "connection_lost", sent)
		r.Await(states, 1, harness.SessionUp)
		again := r.Ask("pbx1", "QueueStatus", "")
		if got := r.Answer(again); got.Error != nil || len(got.Events) != 8 {
			t.Errorf("after the cut came %d events, %+v", len(got.Events), got.Error)
		}
		r.NoMore("pbx1", list, again)
	}
	if n := sim.Received("QueueStatus"); n != 2*len(cuts) {
		t.Errorf("QueueStatus was sent %d times, want %d", n, 2*len(cuts))
	}
	sim.Emit("Event", "Tick", "N", "1")
	r.Drained("pbx1", 2)
	got := harness.CheckStory(t, r.Story("pbx1"))
	harness.Ticks(t, got, 2)
	if got.Sessions != 1 || len(got.Gaps) != 0 {
		t.Errorf("%d sessions of events and %d gaps: they were not concerned", got.Sessions, len(got.Gaps))
	}
}

// With one session for both, the events of a lost session are a gap as well.
func TestChaos_FINMidListOnTheOnlySession(t *testing.T) {
	sim, r := harness.ChaosBridge(t, amisim.Config{}, func(s *config.ServerConfig) { s.Sessions, s.PingInterval = 1, time.Minute })
	states := r.Subscribe("ami.status.pbx1.connection")
	events := r.Subscribe("ami.events.pbx1.Tick")
	const cuts = 5
	for i := range cuts {
		sim.Emit("Event", "Tick", "N", fmt.Sprint(i))
		r.Next(events)
		sim.Next("QueueStatus", amisim.CutAfter(700))
		list := r.Ask("pbx1", "QueueStatus", "")
		harness.Fails(t, r.Answer(list), "connection_lost", "yes")
		r.Await(states, 1, harness.SessionUp)
		r.NoMore("pbx1", list)
	}
	sim.Emit("Event", "Tick", "N", fmt.Sprint(cuts))
	r.Next(events)
	r.Drained("pbx1", cuts+1)
	got := harness.CheckStory(t, r.Story("pbx1"))
	harness.Ticks(t, got, cuts+1)
	if got.Sessions != cuts+1 || len(got.Gaps) != cuts {
		t.Errorf("%d sessions and %d gaps, want %d and %d", got.Sessions, len(got.Gaps), cuts+1, cuts)
	}
	for _, gap := range got.Gaps {
		if !harness.HungUp(gap.Text("Reason")) || gap.Text("Lost") != "unknown" {
			t.Errorf("a gap is %s", gap.Data)
		}
	}
}

// A server that reads nothing costs its callers a clear answer and us a bounded
// buffer. What was given up before it was written is never written.
func TestChaos_ServerThatReadsNothing(t *testing.T) {
	const asked, pending = 150, 120
	sim, r := harness.ChaosBridge(t, amisim.Config{}, func(s *config.ServerConfig) {
		s.MaxPending, s.WriteBufferBytes = pending, setting.MiB
	})
	thaw := sim.FreezeReads()
	// Some 100 KiB each, so that the sockets' buffers fill.
	value := strings.Repeat("x", 1000)
	body := `{"Variable":["` + strings.Repeat(value+`","`, 99) + value + `"]}`
	before := harness.HeapNow()
	replies := r.Subscribe(nats.NewInbox() + ".*")
	inbox := strings.TrimSuffix(replies.Subject, "*")
	for i := range asked {
		msg := nats.NewMsg("ami.actions.pbx1.Setvar")
		msg.Reply, msg.Data = fmt.Sprint(inbox, i), []byte(body)
		msg.Header.Set("Ami-Timeout", "3s")
		if err := r.Client.PublishMsg(msg); err != nil {
			t.Fatal(err)
		}
	}
	seen, kinds := map[string]bool{}, map[string]int{}
	for range asked {
		msg := r.Next(replies)
		got := harness.ParseReply(t, msg)
		if got.Error == nil || seen[msg.Subject] {
			t.Fatalf("%s came to %s, before: %v", msg.Data, msg.Subject, seen[msg.Subject])
		}
		seen[msg.Subject] = true
		kinds[got.Error.Kind+" "+got.Error.Sent]++
	}
	if kinds["busy no"]+kinds["timeout unknown"]+kinds["timeout no"] != asked || kinds["busy no"] == 0 || kinds["timeout no"] == 0 || kinds["timeout unknown"] == 0 {
		t.Errorf("the replies are %v: want busy, timed out in the buffer, and timed out on the way", kinds)
	}
	harness.HeapIsBack(t, before, 8<<20)
	thaw()
	r.NoMore("pbx1", replies)
	if n := sim.Received("Setvar"); n != kinds["timeout unknown"] {
		t.Errorf("the server has got %d actions, the callers were told of %v", n, kinds)
	}
	if busy := r.Metric("actions_busy_total"); busy != float64(kinds["busy no"]) {
		t.Errorf("%v actions were counted as busy, of %v", busy, kinds)
	}
	r.Untouched(t, sim, 0)
	t.Logf("of %d: %v", asked, kinds)
}

// Sixty servers fall and refuse from then on. The gate and the backoff bound
// what they are tried; two others do not notice.
func TestChaos_SixtyServersRefuse(t *testing.T) {
	longtest.Mark(t, "sixty servers are tried again for three seconds, and alone")
	const sixty, rate = 60, 100
	down := newCrowd(t, sixty, func(s *config.ServerConfig) {
		s.BackoffMin, s.BackoffMax = 200*time.Millisecond, 2*time.Second
	})
	one, oneAddr := harness.Sim(t, amisim.Config{NotBooted: true})
	two, twoAddr := harness.Sim(t, amisim.Config{NotBooted: true})
	r := harness.Bridge(t, harness.NATS(t), func(c *config.Config) { harness.ChaosConfig(c); c.ConnectRate = rate },
		append(down.servers, harness.ChaosServer("one", oneAddr), harness.ChaosServer("two", twoAddr))...)
	heap, goroutines := harness.HeapNow(), runtime.NumGoroutine()
	began := time.Now()
	down.fall()
	harness.Eventually(t, "sixty are down", func() bool { return r.Metric("ami_session_up") == 4 })
	harness.Undisturbed(t, r, one, 300)
	harness.Unharmed(t, r, 300)
	// One of the two that are well is kicked: it comes back although sixty wait
	// at the gate as well.
	back := r.Subscribe("ami.status.two.connection")
	two.Kick()
	r.Await(back, 2, harness.SessionUp)
	harness.Eventually(t, "each is tried again, for three seconds", func() bool {
		_, least := down.connects()
		return least > 0 && time.Since(began) > 3*time.Second
	})
	total, least := down.connects()
	took := time.Since(began)
	if most := rate*took.Seconds() + 10; float64(total) > most {
		t.Errorf("%d connects in %v, more than %v", total, took, most)
	}
	harness.HeapIsBack(t, heap, 8<<20)
	if n := runtime.NumGoroutine(); n > goroutines {
		t.Errorf("%d goroutines, before there were %d", n, goroutines)
	}
	if got := r.Call("down7", "Ping", ""); got.Error == nil || got.Error.Kind != "not_connected" || got.Error.Sent != "no" {
		t.Errorf("an action to a server that is down: %+v", got.Error)
	}
	t.Logf("%d connects in %v, %d for the one tried least", total, took, least)
}

// With the breaker as it is by default, one session of each probes, each 0.4 to
// 0.8 s.
func TestChaos_SixtyBreakersOpen(t *testing.T) {
	t.Parallel()
	const sixty = 60
	down := newCrowd(t, sixty, func(s *config.ServerConfig) { s.BreakerFailures, s.BreakerCooldown = 5, time.Hour })
	one, oneAddr := harness.Sim(t, amisim.Config{NotBooted: true})
	r := harness.Bridge(t, harness.NATS(t), func(c *config.Config) { harness.ChaosConfig(c); c.ConnectRate = 1000 },
		append(down.servers, harness.ChaosServer("one", oneAddr))...)
	breakers := r.Subscribe("ami.status.*.breaker")
	began := time.Now()
	down.fall()
	for i := range sixty { // one by one, for on a slow machine some are always being probed
		harness.Eventually(t, "sixty open breakers", func() bool {
			got := r.Call(fmt.Sprint("down", i), "Ping", "")
			return got.Error != nil && got.Error.Kind == "breaker_open"
		})
	}
	opened, _ := down.connects()
	harness.Undisturbed(t, r, one, 300)
	harness.Unharmed(t, r, 300)
	if later, _ := down.connects(); float64(later) > float64(opened)+sixty*(1+time.Since(began).Seconds()/0.4) {
		t.Errorf("%d connects until the breakers were open, %d within %v", opened, later, time.Since(began))
	}
	open := map[string]bool{}
	for len(open) < sixty {
		msg := r.Next(breakers)
		var b struct {
			Server, From, To, Reason string
			Failures                 int
			RetryInMS                int64 `json:"retry_in_ms"`
		}
		if err := json.Unmarshal(msg.Data, &b); err != nil {
			t.Fatal(err)
		}
		if b.To == "open" {
			open[b.Server] = true
			if b.RetryInMS <= 0 || b.RetryInMS > 1000 || b.From == "closed" && b.Failures != 5 || b.Reason == "" {
				t.Errorf("a breaker opened: %s", msg.Data)
			}
		}
	}
	harness.Eventually(t, "breaker_state", func() bool {
		return r.Metric("breaker_state", "state", "open")+r.Metric("breaker_state", "state", "half-open") == sixty
	})
}

// crowd is many servers that fall together.
type crowd struct {
	sims    []*amisim.Server
	tried   []atomic.Int64
	servers []config.ServerConfig
}

func newCrowd(t *testing.T, n int, change func(*config.ServerConfig)) *crowd {
	t.Helper()
	c := &crowd{tried: make([]atomic.Int64, n)}
	for i := range n {
		sim, addr := harness.Sim(t, amisim.Config{NotBooted: true})
		s := harness.ChaosServer(fmt.Sprint("down", i), addr)
		change(&s)
		c.sims, c.servers = append(c.sims, sim), append(c.servers, s)
	}
	return c
}

// fall drops every session and refuses from then on.
func (c *crowd) fall() {
	for i, sim := range c.sims {
		sim.Always(amisim.Accept, func(s *amisim.Session, _ *amisim.Action) {
			c.tried[i].Add(1)
			s.Close()
		})
	}
	for _, sim := range c.sims {
		sim.Kick()
	}
}

// connects returns how often all were tried, and the one tried least.
func (c *crowd) connects() (total, least int64) {
	least = c.tried[0].Load()
	for i := range c.tried {
		n := c.tried[i].Load()
		total, least = total+n, min(least, n)
	}
	return total, least
}
