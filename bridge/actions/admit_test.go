package actions

import (
	"fmt"
	"testing"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config/configtest"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/policy"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/reply"
	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
)

// What one server would refuse it refuses before it has any of it, with the rule
// for the audit, and says when to come again where that helps.
func TestCheck_RefusesBeforeAnythingIsSent(t *testing.T) {
	cfg := configtest.Valid()
	cfg.Servers[0].ActionRates = policy.Rates{{Pattern: "CoreStatus", Value: 0.1}}
	if err := cfg.Servers[0].Events.UnmarshalText([]byte("system,agent")); err != nil {
		t.Fatal(err)
	}
	cfg.Servers[1].Charset = frames.Latin1
	cfg.Audit = config.AuditOff
	b := unconnectedAs(t, cfg)
	const call = `{"Channel":"PJSIP/1","Async":true}`
	for _, test := range []struct {
		server       int
		action, body string
		headers      []string
		want         string // kind and rule
		again        bool
	}{
		{0, "Ping", "", nil, " ", false},
		{0, "Command", `{"Command":"x"}`, nil, "forbidden default", false},
		{0, "ping", "", nil, "bad_request ", false},
		{0, "command", "", nil, "forbidden default", false}, // the policy goes first
		{0, "QueueStatus", `{"Queu":"x"}`, []string{"Ami-Validate", "strict"}, "bad_request ", false},
		{0, "QueueStatus", `{"Queu":"x"}`, nil, " ", false},
		{0, "QueueStatus", `{"Queue":"x"}`, []string{"Ami-Validate", "strict"}, " ", false},
		{0, "MadeUp", `{"Queu":"x"}`, []string{"Ami-Validate", "strict"}, " ", false},
		{0, "Originate", call, []string{"Ami-Wait", "complete"}, "bad_request ", false},
		{0, "Originate", call, nil, " ", false},
		{0, "Originate", `{"Channel":"PJSIP/1"}`, []string{"Ami-Wait", "complete"}, " ", false},
		{1, "Originate", call, []string{"Ami-Wait", "complete"}, " ", false},
		{0, "UserEvent", `{"Note":"Ω"}`, nil, " ", false},
		{1, "UserEvent", `{"Note":"Ω"}`, nil, "bad_request ", false},
		{0, "CoreStatus", "", nil, " ", false},
		{0, "CoreStatus", "", nil, "busy ACTION_RATES", true},
		{1, "CoreStatus", "", nil, " ", false},
	} {
		a, err := readAt(b.Endpoints()[test.server], requestFor(cfg.Servers[test.server].Name, test.action, test.body, test.headers...))
		if err != nil {
			t.Fatal(err)
		}
		fail := a.admit(b.targets[test.server])
		if fail == nil {
			fail = &reply.Error{Sent: "no"}
		}
		if got := string(fail.Kind) + " " + fail.Rule; got != test.want || fail.Sent != "no" || (fail.RetryAfter > 0) != test.again {
			t.Errorf("%s %s %v: %+v, want %q", test.action, test.body, test.headers, fail, test.want)
		}
	}
}

// One of several that is away is passed over before its rate counts the Action.
func TestCheck_APassedOverServerCountsNothing(t *testing.T) {
	cfg := configtest.Valid()
	cfg.Servers[0].ActionRates = policy.Rates{{Pattern: "*", Value: 1}}
	b := unconnectedAs(t, cfg)
	for range 3 {
		a, err := readAt(b.Endpoints()[len(b.Endpoints())-2], requestFor("any", "Ping", ""))
		if err != nil {
			t.Fatal(err)
		}
		if fail := a.admit(b.targets[0]); fail == nil || fail.Kind != "not_connected" {
			t.Errorf("any: %+v", fail)
		}
	}
}

// What a Link does not take was not sent, and the error says when to come again.
func TestRefusalOf_EachError(t *testing.T) {
	for _, test := range []struct {
		err  error
		want string
	}{
		{amiconn.ErrNotConnected, "503 not_connected 2000"}, {amiconn.ErrBreakerOpen, "503 breaker_open 2000"},
		{amiconn.ErrBusy, "429 busy 100"}, {amiconn.ErrStopping, "503 shutting_down 0"},
		{fmt.Errorf("written: %w", &frames.HeaderError{}), "400 bad_request 0"},
	} {
		f := refusalOf(test.err, 2_000_000_000)
		if got := fmt.Sprint(f.Code, " ", f.Kind, " ", f.RetryAfter); got != test.want || f.Sent != "no" {
			t.Errorf("%v: %+v, want %s", test.err, f, test.want)
		}
	}
}
