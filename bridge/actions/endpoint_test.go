package actions

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/setting"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/natsconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/policy"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/policy/policytest"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/reply"
	"github.com/ami-nats-bridge/ami-nats-bridge/correlation"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// Those of whom one gets a request take turns to be the first that is tried.
func TestEndpoint_ServersTakeTurns(t *testing.T) {
	e, servers := new(Endpoint), []*Target{{}, {}, {}}
	for n := range 7 {
		turn := e.turn(servers)
		for i, s := range turn {
			if s != servers[(n+i)%3] || len(turn) != 3 {
				t.Errorf("turn %d: the server tried after %d others is not the next one of %d", n, i, len(turn))
			}
		}
	}
}

// everything is what answers m, which is for all, up to the end: each reply's
// server and kind of error in order, and the number that the end says.
func (a *asking) everything(m *nats.Msg) (replies []string, end string) {
	a.t.Helper()
	m.Reply = a.nc.NewInbox()
	sub, err := a.nc.SubscribeSync(m.Reply)
	if err != nil {
		a.t.Fatal(err)
	}
	if err := a.nc.Flush(); err != nil {
		a.t.Fatal(err)
	}
	a.to(m)
	for {
		answer, err := sub.NextMsg(natstest.Patience)
		if err != nil {
			a.t.Fatalf("%v after %v", err, replies)
		}
		if len(answer.Data) == 0 {
			slices.Sort(replies)
			return replies, answer.Header.Get("Ami-Replies")
		}
		var r struct {
			Server string
			Error  reply.Error
		}
		if err := json.Unmarshal(answer.Data, &r); err != nil {
			a.t.Fatalf("%v in %s", err, answer.Data)
		}
		replies = append(replies, fmt.Sprint(r.Server, " ", r.Error.Kind))
	}
}

// Each server of all answers, or of the group that is named, each by itself, and
// then the end comes. What is wrong for all of them is one error and the end.
func TestEndpoint_AllAnswerAndThenTheEnd(t *testing.T) {
	a := askingOf(t, func(c *config.Config) {
		c.Servers[2].Addr = "127.0.0.1:1" // away
		c.Servers[1].ActionsDeny = setting.Globs{"CoreSettings"}
		c.Groups = []config.Group{{Name: "sales", Servers: []string{"pbx2", "pbx3"}}}
	}, "pbx1", "pbx2", "pbx3")
	for name, test := range map[string]struct {
		m    *nats.Msg
		want []string
	}{
		"all":                {requestFor("all", "CoreStatus", ""), []string{"pbx1 ", "pbx2 ", "pbx3 not_connected"}},
		"refused by one":     {requestFor("all", "CoreSettings", ""), []string{"pbx1 ", "pbx2 forbidden", "pbx3 not_connected"}},
		"a group":            {requestFor("all", "CoreStatus", "", "Ami-Group", "sales"), []string{"pbx2 ", "pbx3 not_connected"}},
		"no such group":      {requestFor("all", "CoreStatus", "", "Ami-Group", "none"), []string{"all bad_request"}},
		"a server's name":    {requestFor("all", "CoreStatus", "", "Ami-Group", "pbx1"), []string{"all bad_request"}},
		"a body that is bad": {requestFor("all", "CoreStatus", "["), []string{"all bad_request"}},
	} {
		if got, end := a.everything(test.m); !slices.Equal(got, test.want) || end != fmt.Sprint(len(test.want)) {
			t.Errorf("%s: %q, then an end of %s; want %q", name, got, end, test.want)
		}
	}
}

// A group is chosen by its name, and Ami-Group elsewhere than with all is refused:
// it would be taken for a choice that it is not.
func TestEndpoint_AmiGroupIsForAll(t *testing.T) {
	a := askingOf(t, func(c *config.Config) { c.Groups = []config.Group{{Name: "sales", Servers: []string{"pbx1"}}} })
	for _, to := range []string{"pbx1", "any", "sales"} {
		if kind, sent, _, _ := a.answered(requestFor(to, "CoreStatus", "", "Ami-Group", "sales")); kind != "bad_request" || sent != "no" {
			t.Errorf("%s: %s, sent %s", to, kind, sent)
		}
		if kind, _, _, _ := a.answered(requestFor(to, "CoreStatus", "")); kind != "" {
			t.Errorf("%s without it: %s", to, kind)
		}
	}
}

// Nobody is told of a request whose reply subject is no inbox, so it is counted.
func TestEndpoint_ARefusalThatNobodyHearsIsCounted(t *testing.T) {
	a := unconnected(t, "pbx1")
	e := a.Endpoints()[0]
	for _, to := range []string{"", "ami.events.pbx1.Hangup"} {
		m := requestFor("pbx1", "CoreStatus", "")
		m.Reply = to
		a.to(m)
	}
	d := e.stats.durations()
	if got := e.stats.stats(&d); got.Refused != 2 || got.Errors[string(reply.KindNoInbox)] != 2 {
		t.Errorf("counted as %+v", got)
	}
}

// What nobody takes is refused with the last one's reason, and with the shortest
// time after which one of them may.
func TestAsk_IsRefusedWithTheShortestWait(t *testing.T) {
	for _, test := range []struct {
		waits []int64
		want  int64
	}{{[]int64{100}, 100}, {[]int64{0, 0}, 0}, {[]int64{500, 200, 300}, 200}, {[]int64{300, 0}, 300}, {[]int64{0, 300, 0}, 300}, {[]int64{200, 300, 300}, 200}} {
		a := new(actionRequest)
		for i, wait := range test.waits {
			a.decline(&reply.Error{Message: fmt.Sprint(i), RetryAfter: wait})
		}
		if got := a.declined; got.RetryAfter != test.want || got.Message != fmt.Sprint(len(test.waits)-1) {
			t.Errorf("after %v it is %+v", test.waits, got)
		}
	}
}

// An error that no server answers for is that of any.
func TestAsk_AnyAnswersWhereNoServerDoes(t *testing.T) {
	a := unconnected(t, "pbx1", "pbx2")
	a.to(requestFor("any", "CoreStatus", ""))
	records := a.unstored.Take(10)
	if len(records) != 1 {
		t.Fatalf("%d records", len(records))
	}
	if r := auditOf(t, records[0].Msg); r.Server != "any" || r.Outcome != "not_connected" || r.Decision != "allowed" {
		t.Errorf("recorded %s", records[0].Msg.Data)
	}
}

// So it is where a server was chosen, and had no room.
func TestAsk_AnyAnswersWhereAllAreFull(t *testing.T) {
	a := askingOf(t, func(c *config.Config) { c.Servers[0].MaxPending = 1 })
	a.sims["pbx1"].Always("CoreStatus", amisim.Ignore)
	a.to(requestFor("pbx1", "CoreStatus", ""))
	var r struct {
		Server string
		Error  reply.Error
	}
	if text := a.reply(requestFor("any", "CoreSettings", "")).Data; json.Unmarshal(text, &r) != nil || r.Server != "any" || r.Error.Kind != "busy" || r.Error.RetryAfter == 0 {
		t.Errorf("the reply is %s", text)
	}
}

// The time of a request is that of the first server that it is tried with, and
// counts from its arrival.
func TestAsk_HasOneTimeWhoeverIsTried(t *testing.T) {
	a := askingOf(t, func(c *config.Config) {
		c.IdempotencyWindow = 0
		c.Servers[0].ActionTimeout, c.Servers[1].ActionTimeout = time.Minute, time.Hour
	}, "pbx1", "pbx2")
	e := a.Endpoints()[slices.IndexFunc(a.Endpoints(), func(e *Endpoint) bool { return e.Name == "any" })]
	for timeout, want := range map[string]time.Duration{"": time.Minute, "10s": 10 * time.Second, "2m": time.Minute} {
		m := requestFor("any", "CoreStatus", "")
		if timeout != "" {
			m = requestFor("any", "CoreStatus", "", "Ami-Timeout", timeout)
		}
		one, err := readAt(e, m)
		if err != nil {
			t.Fatal(err)
		}
		one.others = one.behind.servers
		for range one.behind.servers {
			if !one.choose() || one.deadline != one.received.Add(want) {
				t.Errorf("Ami-Timeout %q, with %s: until %v after its arrival, want %v", timeout, one.server.cfg.Name, one.deadline.Sub(one.received), want)
			}
		}
	}
}

// With any what a server does not take goes to the next: one whose policy refuses
// it, whose rate is used up, that has no room, or that is away.
func TestAsk_IsPassedOnUntilOneTakesIt(t *testing.T) {
	a := askingOf(t, func(c *config.Config) {
		c.Servers[0].ActionsDeny = setting.Globs{"CoreSettings"}
		c.Servers[1].ActionRates = policy.Rates{{Pattern: "CoreSettings", Value: 1e-6}}
		c.Servers[2].MaxPending = 1
		c.Servers[3].Addr = "127.0.0.1:1" // away
	}, "pbx1", "pbx2", "pbx3", "pbx4", "pbx5")
	a.sims["pbx3"].Always("CoreStatus", amisim.Ignore)
	if kind, _, _, _ := a.answered(requestFor("pbx2", "CoreSettings", "")); kind != "" {
		t.Fatalf("the only one of the rate: %s", kind)
	}
	a.to(requestFor("pbx3", "CoreStatus", "")) // has the only place
	for n := range 10 {
		if kind, _, message, _ := a.answered(requestFor("any", "CoreSettings", "")); kind != "" {
			t.Errorf("request %d: %s, %s", n, kind, message)
		}
	}
	for name, want := range map[string]int{"pbx1": 0, "pbx2": 1, "pbx3": 0, "pbx4": 0, "pbx5": 10} {
		if n := a.sims[name].Received("CoreSettings"); n != want {
			t.Errorf("%s got %d, want %d", name, n, want)
		}
	}
}

// Another server has an Action that was not written before its session ended, if
// it only reads and its time is not over. One that changes something is the
// caller's to ask again.
func TestAsk_FailsOverToAnotherServer(t *testing.T) {
	a := askingOf(t, nil, "pbx1", "pbx2")
	pbx1, pbx2 := a.targets[0], a.targets[1]
	for name, test := range map[string]struct {
		action  string
		outcome correlation.Outcome
		others  []*Target
		left    time.Duration
		want    bool
	}{
		"a read":                {"CoreStatus", correlation.NotSent, []*Target{pbx2}, time.Minute, true},
		"a change":              {"Setvar", correlation.NotSent, []*Target{pbx2}, time.Minute, false},
		"a read that was sent":  {"CoreStatus", correlation.ConnectionLost, []*Target{pbx2}, time.Minute, false},
		"a read in vain":        {"CoreStatus", correlation.TimedOut, []*Target{pbx2}, time.Minute, false},
		"a read that is late":   {"CoreStatus", correlation.NotSent, []*Target{pbx2}, -time.Second, false},
		"a read for one server": {"CoreStatus", correlation.NotSent, nil, time.Minute, false},
	} {
		e := a.Endpoints()[slices.IndexFunc(a.Endpoints(), func(e *Endpoint) bool { return e.Name == "any" })]
		one, err := readAt(e, requestFor("any", test.action, ""))
		if err != nil {
			t.Fatal(err)
		}
		one.server, one.others, one.deadline = pbx1, test.others, time.Now().Add(test.left)
		if got := one.failsOver(&correlation.Result{Outcome: test.outcome}); got != test.want || (one.server == pbx2) != test.want {
			t.Errorf("%s: another has it is %v, it is with %s", name, got, one.server.cfg.Name)
		}
	}
}

// What is late before it could be sent is not.
func TestAsk_IsNotSentOnceItsTimeIsOver(t *testing.T) {
	a := askingOf(t, nil)
	for _, to := range []string{"pbx1", "any"} {
		if kind, sent, _, _ := a.answered(requestFor(to, "CoreStatus", "", "Ami-Timeout", "1ns")); kind != "timeout" || sent != "no" {
			t.Errorf("%s: %s, sent %s", to, kind, sent)
		}
	}
	if n := a.sims["pbx1"].Received("CoreStatus"); n != 0 {
		t.Errorf("it was sent %d times", n)
	}
}

// Ami-Wait: complete is for an Originate that Asterisk takes for an asynchronous
// one: by the first header of that name, without leading blanks (manager.c
// action_originate, astman_get_header, ast_true).
func TestAsk_WaitsForTheCallOfAnAsyncOriginate(t *testing.T) {
	for lines, want := range map[string]bool{
		"Async: yes": true, "Async: true": true, "Async: y": true, "Async: t": true, "Async: 1": true, "Async: on": true, "ASYNC: TRUE": true,
		"Async:  \t true": true, "Async: yes\nAsync: no": true, "Exten: 1\nAsync: 1": true,
		"Async: no\nAsync: yes": false, "Async: no": false, "Async: 0": false, "Async: true ": false, "Async:": false, "Exten: 1": false,
		"A\u017fync: true": false,
	} {
		a := &actionRequest{action: policytest.Name("Originate"), options: options{complete: true}, headers: policytest.Headers(lines)}
		if got := a.awaitsOriginate(); got != want {
			t.Errorf("%q is waited for: %v", lines, got)
		}
		if a.action = policytest.Name("Redirect"); a.awaitsOriginate() {
			t.Errorf("%q of another Action is waited for", lines)
		}
		if a.action, a.options.complete = policytest.Name("Originate"), false; a.awaitsOriginate() {
			t.Errorf("%q is waited for without being asked", lines)
		}
	}
}

// What one server has no room for reaches the next one whole, be it a change,
// whose headers are kept no longer than one server may want them.
func TestAsk_ReachesTheNextServerWhole(t *testing.T) {
	a := askingOf(t, func(c *config.Config) { c.Servers[0].WriteBufferBytes = 2 * setting.KiB }, "pbx1", "pbx2")
	got := make(chan string, 1)
	a.sims["pbx2"].Always("Setvar", func(s *amisim.Session, action *amisim.Action) {
		got <- action.Get("Variable") + action.Get("Value") + action.Get("Note")
		s.Serve(action)
	})
	want := strings.Repeat("v", 900) + strings.Repeat("w", 900) + strings.Repeat("n", 900)
	for range 2 {
		kind, _, _, _ := a.answered(requestFor("any", "Setvar", `{"Variable":"`+want[:900]+`","Value":"`+want[900:1800]+`","Note":"`+want[1800:]+`"}`))
		if text := <-got; kind != "" || text != want {
			t.Errorf("%s; it got %d bytes of %d", kind, len(text), len(want))
		}
	}
	natstest.Within(t, "nothing is held", func() bool {
		return !slices.ContainsFunc(a.Endpoints(), func(e *Endpoint) bool { return e.held.bytes.Load() != 0 })
	})
}

// A bridge that stops takes nothing more, and says so.
func TestAsk_IsRefusedWhileTheBridgeStops(t *testing.T) {
	a := unconnected(t, "pbx1")
	a.shared.inFlight.close()
	a.to(requestFor("pbx1", "CoreStatus", ""))
	for _, e := range a.unstored.Take(10) {
		if r := auditOf(t, e.Msg); r.Outcome != "shutting_down" || r.Sent != "no" {
			t.Errorf("recorded %s", e.Msg.Data)
		}
	}
	if n := a.Endpoints()[0].stats.results[resultRefused].Load(); n != 1 {
		t.Errorf("%d are refused", n)
	}
}

// A server's own figures have what came by whatever endpoint.
func TestAsk_CountsAtItsEndpointAndItsServer(t *testing.T) {
	a := askingOf(t, nil)
	for _, to := range []string{"pbx1", "any", "all"} {
		a.answered(requestFor(to, "CoreStatus", ""))
	}
	a.answered(requestFor("pbx1", "Login", ""))
	for of, c := range map[string]struct {
		tally             *requestStats
		answered, refused uint64
	}{
		"the server": {&a.targets[0].stats, 3, 1}, "its endpoint": {&a.Endpoints()[0].stats, 1, 1}, "any": {&a.Endpoints()[1].stats, 1, 0},
	} {
		if answered, refused := c.tally.results[resultAnswered].Load(), c.tally.results[resultRefused].Load(); answered != c.answered || refused != c.refused {
			t.Errorf("%s: %d answered, %d refused", of, answered, refused)
		}
	}
}

// Once the audit has it, a request keeps neither who asks nor the fields.
func TestAsk_KeepsNothingForTheAudit(t *testing.T) {
	a := unconnected(t, "pbx1")
	one, err := readAt(a.Endpoints()[0], requestFor("pbx1", "CoreStatus", `{"Note":"x"}`, "Ami-Requester", "alice"))
	if err != nil || one.recorded.Size() < len("alice")+len("Note")+len("x") {
		t.Fatalf("%v; the audit has %+v", err, one.recorded)
	}
	if one.options.requester != "" || one.body.fields != nil {
		t.Errorf("it keeps %q and %v", one.options.requester, one.body.fields)
	}
}

func TestIsInbox_RefusesThoseOfBridges(t *testing.T) {
	for subject, want := range map[string]bool{
		"_INBOX.abc.1": true, "_R_.a.b": true, "_INBOX_dialer.abc": true,
		"": false, "_INBOX": false, "ami.events.pbx1.Hangup": false, "_INBOXfoo.x": false, "$JS.API.INFO": false,
		natsconn.InboxPrefix("b1") + ".nuid.7": false, natsconn.InboxPrefix("b2") + ".nuid.7": false,
		"_INBOX.": false, "_INBOX..x": false, "_INBOX.x.": false, "_INBOX.*": false, "_INBOX.x.>": false, "_R_.": false, "_INBOX.x*y": true,
	} {
		if got := isInbox(subject); got != want {
			t.Errorf("isInbox(%q) = %v, want %v", subject, got, want)
		}
	}
}
