package integration

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
)

// threeServers is a bridge to pbx1, which change, if not nil, may change, pbx2 and
// pbx3, which are the group sales.
func threeServers(t *testing.T, change func(*config.ServerConfig)) ([]*amisim.Server, *running) {
	t.Helper()
	var sims []*amisim.Server
	var servers []config.ServerConfig
	for _, name := range []string{"pbx1", "pbx2", "pbx3"} {
		sim, addr := startSim(t, amisim.Config{NotBooted: true})
		s := chaosServer(name, addr)
		if name == "pbx1" && change != nil {
			change(&s)
		}
		sims, servers = append(sims, sim), append(servers, s)
	}
	groups := func(c *config.Config) {
		chaosConfig(c)
		c.Groups = []config.Group{{Name: "sales", Servers: []string{"pbx2", "pbx3"}}}
	}
	return sims, startBridge(t, natsURL(t), groups, servers...)
}

// down takes a server away and waits until the bridge knows it.
func down(r *running, sim *amisim.Server, name string) {
	r.t.Helper()
	states := r.subscribe("ami.status." + name + ".connection")
	sim.Always(amisim.Accept, amisim.Refuse)
	sim.Kick()
	r.await(states, 2, lost)
}

// received says how often each of the simulated Asterisks got action.
func received(sims []*amisim.Server, action string) (counts [3]int) {
	for i, sim := range sims {
		counts[i] = sim.Received(action)
	}
	return counts
}

// spread asks n times, which must succeed, and says how many of them each server
// answered.
func (r *running) spread(to, action string, n int) map[string]int {
	r.t.Helper()
	answered := map[string]int{}
	for range n {
		got := r.call(to, action, "")
		if got.Error != nil {
			r.t.Errorf("%s: %+v", to, got.Error)
		}
		answered[got.Server]++
	}
	return answered
}

func TestRouting_AnyTakesTurnsAmongThoseThatAreUp(t *testing.T) {
	sims, r := threeServers(t, nil)
	r.spread("any", "CoreStatus", 6)
	if got := received(sims, "CoreStatus"); got != [3]int{2, 2, 2} {
		t.Errorf("six calls went %v", got)
	}
	down(r, sims[1], "pbx2")
	if got := r.spread("any", "CoreSettings", 6); got["pbx2"] != 0 {
		t.Errorf("a server that is down answered: %v", got)
	}
	down(r, sims[0], "pbx1")
	down(r, sims[2], "pbx3")
	got := r.call("any", "Ping", "")
	fails(t, got, got.Error.Kind, "no")
	if got.Error.Code != 503 || got.Server != "any" {
		t.Errorf("with all servers down: %+v from %s", got.Error, got.Server)
	}
}

// What one server has no room for was not sent: another has it.
func TestRouting_ABusyServerIsPassedOver(t *testing.T) {
	sims, r := threeServers(t, func(s *config.ServerConfig) { s.MaxPending = 1 })
	sims[0].Next("CoreStatus", amisim.Ignore)
	held := r.ask("pbx1", "CoreStatus", "")
	eventually(t, "the only place is taken", func() bool { return sims[0].Received("CoreStatus") == 1 })
	fails(t, r.call("pbx1", "CoreSettings", ""), "busy", "no")
	r.spread("any", "CoreSettings", 6)
	if got := received(sims, "CoreSettings"); got[0] != 0 || got[1]+got[2] != 6 {
		t.Errorf("six calls beside a full server went %v", got)
	}
	sims[0].Kick()
	fails(t, r.answer(held), "connection_lost", "unknown")
}

// stuck is a bridge to pbx1, an Asterisk that reads nothing, so that what it is
// asked for waits in the bridge, and to pbx2. Both groups are of both. wait asks
// and returns once that is pending at pbx1.
func stuck(t *testing.T, pbx1, pbx2 func(*config.ServerConfig)) (
	jam, other *amisim.Server, r *running, wait func(to, action, body string) *nats.Subscription,
) {
	t.Helper()
	jam, addr := simBehind(t, amisim.Config{NotBooted: true}, func(l net.Listener) net.Listener { return narrow{l} })
	other, otherAddr := startSim(t, amisim.Config{NotBooted: true})
	one, two := chaosServer("pbx1", addr), chaosServer("pbx2", otherAddr)
	one.WriteBufferBytes = 64 * setting.MiB
	pbx1(&one)
	pbx2(&two)
	r = startBridge(t, natsURL(t), func(c *config.Config) {
		chaosConfig(c)
		c.Audit = config.AuditOff
		c.Groups = []config.Group{{Name: "reads", Servers: []string{"pbx1", "pbx2"}}, {Name: "writes", Servers: []string{"pbx1", "pbx2"}}}
	}, one, two)
	t.Cleanup(jam.FreezeReads())
	pending := 0
	wait = func(to, action, body string) *nats.Subscription {
		replies := r.ask(to, action, body)
		pending++
		eventually(t, "it is pending", func() bool { return r.metric("actions_pending", "server", "pbx1") == float64(pending) })
		return replies
	}
	// What the sockets do not hold waits in the bridge: more than they ever do, as
	// what waits now may be written in a moment.
	large := fmt.Sprintf(`{"UserEvent":"Large","Filler":[%s"1"]}`, strings.Repeat(`"`+strings.Repeat("v", 900)+`",`, 120))
	for pending < 80 || r.metric("write_buffer_bytes", "server", "pbx1") < 1<<20 {
		wait("pbx1", "UserEvent", large)
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
	jam, other, r, wait := stuck(t, asItIs, asItIs)
	read, write := wait("reads", "CoreStatus", ""), wait("writes", "Setvar", `{"Variable":"A","Value":"1"}`)
	jam.Kick()
	if got := r.answer(read); got.Error != nil || got.Server != "pbx2" {
		t.Errorf("a read: %s, %+v", got.Server, got.Error)
	}
	got := r.answer(write)
	fails(t, got, "not_connected", "no")
	if n := other.Received("Setvar"); got.Server != "pbx1" || n != 0 {
		t.Errorf("a write: %s, sent %d times to another", got.Server, n)
	}
}

// The time of a request is one, whoever has it: pbx2 by itself would take longer
// than anybody waits here.
func TestRouting_AnotherServerHasTheTimeThatIsLeft(t *testing.T) {
	t.Parallel()
	jam, other, r, wait := stuck(t,
		func(s *config.ServerConfig) {
			s.ActionTimeouts = amiconn.Timeouts{{Pattern: "CoreStatus", Value: 30 * time.Second}}
		},
		func(s *config.ServerConfig) { s.ActionTimeout = 3 * patience / 2 })
	other.Next("CoreStatus", amisim.Ignore)
	read := wait("reads", "CoreStatus", "")
	jam.Kick()
	got := r.answer(read)
	fails(t, got, "timeout", "unknown")
	if n := other.Received("CoreStatus"); got.Server != "pbx2" || n != 1 {
		t.Errorf("%s says so, another got it %d times", got.Server, n)
	}
}

func TestRouting_AGroupIsItsMembers(t *testing.T) {
	sims, r := threeServers(t, nil)
	r.spread("sales", "CoreStatus", 4)
	if got := received(sims, "CoreStatus"); got != [3]int{0, 2, 2} {
		t.Errorf("four calls to a group of pbx2 and pbx3 went %v", got)
	}
	down(r, sims[2], "pbx3")
	if got := r.spread("sales", "CoreSettings", 2); got["pbx2"] != 2 {
		t.Errorf("with pbx3 down %v answered", got)
	}
}

// everyone reads the replies to one request up to the empty end.
func everyone(r *running, replies *nats.Subscription) (byServer map[string]reply, end *nats.Msg) {
	r.t.Helper()
	byServer = map[string]reply{}
	for {
		msg := r.next(replies)
		if len(msg.Data) == 0 {
			return byServer, msg
		}
		got := parse(r.t, msg)
		byServer[got.Server] = got
	}
}

func TestRouting_AllAnswerAndThenTheEnd(t *testing.T) {
	sims, r := threeServers(t, nil)
	down(r, sims[1], "pbx2")
	sims[2].Next("CoreStatus", amisim.Deny("Permission denied"))
	replies := r.ask("all", "CoreStatus", `{"ActionID":"mine"}`)
	got, end := everyone(r, replies)
	if len(got) != 3 || end.Header.Get("Ami-Replies") != "3" {
		t.Fatalf("%d replies before an end with %v", len(got), end.Header)
	}
	succeeds(t, got["pbx1"])
	if id := got["pbx1"].RequestID; id != "mine" {
		t.Errorf("request_id %q", id)
	}
	if e := got["pbx2"].Error; e == nil || e.Code != 503 || e.Sent != "no" {
		t.Errorf("a server that is down: %+v", e)
	}
	fails(t, got["pbx3"], "asterisk_error", "yes")
	if n := received(sims, "CoreStatus"); n != [3]int{1, 0, 1} {
		t.Errorf("it was sent %v times", n)
	}
	if n, _, err := replies.Pending(); n != 0 || err != nil {
		t.Errorf("%d messages behind the end (%v)", n, err)
	}

	got, end = everyone(r, r.ask("all", "CoreSettings", "", "Ami-Group", "sales"))
	if len(got) != 2 || end.Header.Get("Ami-Replies") != "2" || got["pbx3"].Error != nil {
		t.Errorf("all of a group: %d replies, end with %v", len(got), end.Header)
	}
	got, _ = everyone(r, r.ask("all", "CoreSettings", "", "Ami-Group", "nobody"))
	if e := got["all"].Error; e == nil || e.Code != 400 || !strings.Contains(e.Message, "nobody") {
		t.Errorf("all of a group that is not there: %+v", got)
	}
}

// A mistyped header of ours would silently not be in force.
func TestRouting_AnUnknownHeaderIsRefused(t *testing.T) {
	sims, r := threeServers(t, nil)
	for _, header := range []string{"Ami-Timout", "ami-idempotency_key", "Ami-"} {
		got := r.call("pbx1", "CoreStatus", "", header, "10s")
		fails(t, got, "bad_request", "no")
		if !strings.Contains(got.Error.Message, header) {
			t.Errorf("the error does not name %s: %s", header, got.Error.Message)
		}
	}
	fails(t, r.call("sales", "CoreStatus", "", "Ami-Group", "sales"), "bad_request", "no")
	succeeds(t, r.call("pbx1", "CoreSettings", "", "ami-timeout", "10s", "X-Trace", "1"))
	if n := received(sims, "CoreStatus"); n != [3]int{} {
		t.Errorf("it was sent %v times", n)
	}
}

// A rate refuses what is over it, says when there is room, and is a server's
// own.
func TestRouting_RatesHoldOneServer(t *testing.T) {
	sim, addr := startSim(t, amisim.Config{NotBooted: true})
	other, otherAddr := startSim(t, amisim.Config{NotBooted: true})
	slow := chaosServer("pbx1", addr)
	if err := slow.ActionRates.Decode("CoreStatus=0.01"); err != nil {
		t.Fatal(err)
	}
	r := startBridge(t, natsURL(t), chaosConfig, slow, chaosServer("pbx2", otherAddr))
	succeeds(t, r.call("pbx1", "CoreStatus", ""))
	got := r.call("pbx1", "CoreStatus", "")
	fails(t, got, "busy", "no")
	if after := got.Error.RetryAfter; got.Error.Code != 429 || after < 10_000 || after > 100_000 {
		t.Errorf("refused with %d, again in %d ms", got.Error.Code, after)
	}
	succeeds(t, r.call("pbx1", "CoreSettings", ""))
	if got := r.spread("any", "CoreStatus", 3); got["pbx2"] != 3 {
		t.Errorf("any: %v", got)
	}
	if n, m := sim.Received("CoreStatus"), other.Received("CoreStatus"); n != 1 || m != 3 {
		t.Errorf("sent %d and %d times", n, m)
	}
}
