package actions

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/setting"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/longtest"
)

// threeServers is a bridge to pbx1, which change, if not nil, may change, pbx2 and
// pbx3, which are the group sales.
func threeServers(t *testing.T, change func(*config.ServerConfig)) ([]*amisim.Server, *harness.Running) {
	t.Helper()
	var sims []*amisim.Server
	var servers []config.ServerConfig
	for _, name := range []string{"pbx1", "pbx2", "pbx3"} {
		sim, addr := harness.Sim(t, amisim.Config{NotBooted: true})
		s := harness.ChaosServer(name, addr)
		if name == "pbx1" && change != nil {
			change(&s)
		}
		sims, servers = append(sims, sim), append(servers, s)
	}
	groups := func(c *config.Config) {
		harness.ChaosConfig(c)
		c.Groups = []config.Group{{Name: "sales", Servers: []string{"pbx2", "pbx3"}}}
	}
	return sims, harness.Bridge(t, harness.NATS(t), groups, servers...)
}

// received says how often each of the simulated Asterisks got action.
func received(sims []*amisim.Server, action string) (counts [3]int) {
	for i, sim := range sims {
		counts[i] = sim.Received(action)
	}
	return counts
}

// spreadOf asks n times, which must succeed, and says how many of them each server
// answered.
func spreadOf(r *harness.Running, to, action string, n int) map[string]int {
	r.T.Helper()
	answered := map[string]int{}
	for range n {
		got := r.Call(to, action, "")
		if got.Error != nil {
			r.T.Errorf("%s: %+v", to, got.Error)
		}
		answered[got.Server]++
	}
	return answered
}

func TestRouting_AnyTakesTurnsAmongThoseThatAreUp(t *testing.T) {
	t.Parallel()
	sims, r := threeServers(t, nil)
	spreadOf(r, "any", "CoreStatus", 6)
	if got := received(sims, "CoreStatus"); got != [3]int{2, 2, 2} {
		t.Errorf("six calls went %v", got)
	}
	harness.Down(r, sims[1], "pbx2")
	if got := spreadOf(r, "any", "CoreSettings", 6); got["pbx2"] != 0 {
		t.Errorf("a server that is down answered: %v", got)
	}
	harness.Down(r, sims[0], "pbx1")
	harness.Down(r, sims[2], "pbx3")
	got := r.Call("any", "Ping", "")
	harness.Fails(t, got, got.Error.Kind, "no")
	if got.Error.Code != 503 || got.Server != "any" {
		t.Errorf("with all servers down: %+v from %s", got.Error, got.Server)
	}
}

// What one server has no room for was not sent: another has it.
func TestRouting_ABusyServerIsPassedOver(t *testing.T) {
	t.Parallel()
	sims, r := threeServers(t, func(s *config.ServerConfig) { s.MaxPending, s.State = 1, nil })
	sims[0].Next("CoreStatus", amisim.Ignore)
	held := r.Ask("pbx1", "CoreStatus", "")
	harness.Eventually(t, "the only place is taken", func() bool { return sims[0].Received("CoreStatus") == 1 })
	harness.Fails(t, r.Call("pbx1", "CoreSettings", ""), "busy", "no")
	spreadOf(r, "any", "CoreSettings", 6)
	if got := received(sims, "CoreSettings"); got[0] != 0 || got[1]+got[2] != 6 {
		t.Errorf("six calls beside a full server went %v", got)
	}
	sims[0].Kick()
	harness.Fails(t, r.Answer(held), "connection_lost", "unknown")
}

// stuck is a bridge to pbx1, an Asterisk that reads nothing, so that what it is
// asked for waits in the bridge, and to pbx2. Both groups are of both. wait asks
// and returns once that is pending at pbx1.
func stuck(t *testing.T, pbx1, pbx2 func(*config.ServerConfig)) (
	jam, other *amisim.Server, r *harness.Running, wait func(to, action, body string) *nats.Subscription,
) {
	t.Helper()
	jam, addr := harness.SimBehind(t, amisim.Config{NotBooted: true}, func(l net.Listener) net.Listener { return narrow{l} })
	other, otherAddr := harness.Sim(t, amisim.Config{NotBooted: true})
	one, two := harness.ChaosServer("pbx1", addr), harness.ChaosServer("pbx2", otherAddr)
	one.WriteBufferBytes = 64 * setting.MiB
	pbx1(&one)
	pbx2(&two)
	r = harness.Bridge(t, harness.NATS(t), func(c *config.Config) {
		harness.ChaosConfig(c)
		c.Audit, c.State = config.AuditOff, false // whose lists would be pending, too
		c.Groups = []config.Group{{Name: "reads", Servers: []string{"pbx1", "pbx2"}}, {Name: "writes", Servers: []string{"pbx1", "pbx2"}}}
	}, one, two)
	t.Cleanup(jam.FreezeReads())
	pending := 0
	arePending := func(n int) {
		t.Helper()
		pending += n
		harness.Eventually(t, "it is pending", func() bool { return r.Metric("actions_pending", "server", "pbx1") == float64(pending) })
	}
	wait = func(to, action, body string) *nats.Subscription {
		replies := r.Ask(to, action, body)
		arePending(1)
		return replies
	}
	// What the sockets do not hold waits in the bridge: more than they ever do, as
	// what waits now may be written in a moment.
	large := fmt.Sprintf(`{"UserEvent":"Large","Filler":[%s"1"]}`, strings.Repeat(`"`+strings.Repeat("v", 900)+`",`, 120))
	for pending < 80 || r.Metric("write_buffer_bytes", "server", "pbx1") < 1<<20 {
		for range 20 {
			r.Ask("pbx1", "UserEvent", large)
		}
		arePending(20)
	}
	return jam, other, r, wait
}

// narrow has the system hold little of what is not read, where it would hold
// megabytes.
type narrow struct{ net.Listener }

func (n narrow) Accept() (net.Conn, error) {
	conn, err := n.Listener.Accept()
	if err == nil {
		err = conn.(*net.TCPConn).SetReadBuffer(16 << 10)
	}
	return conn, err
}

func asItIs(*config.ServerConfig) {}

// A read that was not written when its session was lost is another server's;
// what changes something is the caller's to ask again.
func TestRouting_AReadThatWasNotSentFailsOver(t *testing.T) {
	t.Parallel()
	jam, other, r, wait := stuck(t, asItIs, asItIs)
	read, write := wait("reads", "CoreStatus", ""), wait("writes", "Setvar", `{"Variable":"A","Value":"1"}`)
	jam.Kick()
	if got := r.Answer(read); got.Error != nil || got.Server != "pbx2" {
		t.Errorf("a read: %s, %+v", got.Server, got.Error)
	}
	got := r.Answer(write)
	harness.Fails(t, got, "not_connected", "no")
	if n := other.Received("Setvar"); got.Server != "pbx1" || n != 0 {
		t.Errorf("a write: %s, sent %d times to another", got.Server, n)
	}
}

// The time of a request is one, whoever has it: pbx2 by itself would take longer
// than anybody waits here.
func TestRouting_AnotherServerHasTheTimeThatIsLeft(t *testing.T) {
	longtest.Mark(t, "one server's timeout has to end, at 30 s, while another's goes on")
	t.Parallel()
	jam, other, r, wait := stuck(t,
		func(s *config.ServerConfig) {
			s.ActionTimeouts = amiconn.Timeouts{{Pattern: "CoreStatus", Value: 30 * time.Second}}
		},
		func(s *config.ServerConfig) { s.ActionTimeout = 3 * harness.Patience / 2 })
	other.Next("CoreStatus", amisim.Ignore)
	read := wait("reads", "CoreStatus", "")
	jam.Kick()
	got := r.Answer(read)
	harness.Fails(t, got, "timeout", "unknown")
	if n := other.Received("CoreStatus"); got.Server != "pbx2" || n != 1 {
		t.Errorf("%s says so, another got it %d times", got.Server, n)
	}
}

func TestRouting_AGroupIsItsMembers(t *testing.T) {
	t.Parallel()
	sims, r := threeServers(t, nil)
	spreadOf(r, "sales", "CoreStatus", 4)
	if got := received(sims, "CoreStatus"); got != [3]int{0, 2, 2} {
		t.Errorf("four calls to a group of pbx2 and pbx3 went %v", got)
	}
	harness.Down(r, sims[2], "pbx3")
	if got := spreadOf(r, "sales", "CoreSettings", 2); got["pbx2"] != 2 {
		t.Errorf("with pbx3 down %v answered", got)
	}
}

func TestRouting_AllAnswerAndThenTheEnd(t *testing.T) {
	t.Parallel()
	sims, r := threeServers(t, nil)
	harness.Down(r, sims[1], "pbx2")
	sims[2].Next("CoreStatus", amisim.Deny("Permission denied"))
	replies := r.Ask("all", "CoreStatus", `{"ActionID":"mine"}`)
	got, end := harness.Everyone(r, replies)
	if len(got) != 3 || end.Header.Get("Ami-Replies") != "3" {
		t.Fatalf("%d replies before an end with %v", len(got), end.Header)
	}
	harness.Succeeds(t, got["pbx1"])
	if id := got["pbx1"].RequestID; id != "mine" {
		t.Errorf("request_id %q", id)
	}
	if e := got["pbx2"].Error; e == nil || e.Code != 503 || e.Sent != "no" {
		t.Errorf("a server that is down: %+v", e)
	}
	harness.Fails(t, got["pbx3"], "asterisk_error", "yes")
	if n := received(sims, "CoreStatus"); n != [3]int{1, 0, 1} {
		t.Errorf("it was sent %v times", n)
	}
	if n, _, err := replies.Pending(); n != 0 || err != nil {
		t.Errorf("%d messages behind the end (%v)", n, err)
	}

	got, end = harness.Everyone(r, r.Ask("all", "CoreSettings", "", "Ami-Group", "sales"))
	if len(got) != 2 || end.Header.Get("Ami-Replies") != "2" || got["pbx3"].Error != nil {
		t.Errorf("all of a group: %d replies, end with %v", len(got), end.Header)
	}
	got, _ = harness.Everyone(r, r.Ask("all", "CoreSettings", "", "Ami-Group", "nobody"))
	if e := got["all"].Error; e == nil || e.Code != 400 || !strings.Contains(e.Message, "nobody") {
		t.Errorf("all of a group that is not there: %+v", got)
	}
}

// A mistyped header of ours would silently not be in force.
func TestRouting_AnUnknownHeaderIsRefused(t *testing.T) {
	t.Parallel()
	sims, r := threeServers(t, nil)
	for _, header := range []string{"Ami-Timout", "ami-idempotency_key", "Ami-"} {
		got := r.Call("pbx1", "CoreStatus", "", header, "10s")
		harness.Fails(t, got, "bad_request", "no")
		if !strings.Contains(got.Error.Message, header) {
			t.Errorf("the error does not name %s: %s", header, got.Error.Message)
		}
	}
	harness.Fails(t, r.Call("sales", "CoreStatus", "", "Ami-Group", "sales"), "bad_request", "no")
	harness.Succeeds(t, r.Call("pbx1", "CoreSettings", "", "ami-timeout", "10s", "X-Trace", "1"))
	if n := received(sims, "CoreStatus"); n != [3]int{} {
		t.Errorf("it was sent %v times", n)
	}
}

// A rate refuses what is over it, says when there is room, and is a server's
// own.
func TestRouting_RatesHoldOneServer(t *testing.T) {
	t.Parallel()
	sim, addr := harness.Sim(t, amisim.Config{NotBooted: true})
	other, otherAddr := harness.Sim(t, amisim.Config{NotBooted: true})
	slow := harness.ChaosServer("pbx1", addr)
	if err := slow.ActionRates.Decode("CoreStatus=0.01"); err != nil {
		t.Fatal(err)
	}
	r := harness.Bridge(t, harness.NATS(t), harness.ChaosConfig, slow, harness.ChaosServer("pbx2", otherAddr))
	harness.Succeeds(t, r.Call("pbx1", "CoreStatus", ""))
	got := r.Call("pbx1", "CoreStatus", "")
	harness.Fails(t, got, "busy", "no")
	if after := got.Error.RetryAfter; got.Error.Code != 429 || after < 10_000 || after > 100_000 {
		t.Errorf("refused with %d, again in %d ms", got.Error.Code, after)
	}
	harness.Succeeds(t, r.Call("pbx1", "CoreSettings", ""))
	if got := spreadOf(r, "any", "CoreStatus", 3); got["pbx2"] != 3 {
		t.Errorf("any: %v", got)
	}
	if n, m := sim.Received("CoreStatus"), other.Received("CoreStatus"); n != 1 || m != 3 {
		t.Errorf("sent %d and %d times", n, m)
	}
}
