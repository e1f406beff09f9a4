package actions

import (
	"strings"
	"testing"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/policy"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
)

// The table of errors, through the whole bridge. What other tests show fully:
// 429 for a full write buffer (TestPeers_AFullWriteBufferKeepsTheSession), 503
// for what was not written when its session was lost
// (TestRouting_AReadThatWasNotSentFailsOver), 413 and 502 in the middle of a
// list, where sent is yes (TestStream_AListOfAnyLength,
// TestStream_ALostSessionEndsIt).

// What is wrong with a request itself is refused before Asterisk hears of it.
func TestErrors_OfTheRequest(t *testing.T) {
	t.Parallel()
	sim, r := harness.ChaosBridge(t, amisim.Config{}, nil)
	many := "[" + strings.Repeat(`"1",`, 126) + `"1"]`
	for _, test := range []struct {
		name, action, body string
		code               int
		header             []string
	}{
		{"no JSON", "Setvar", `Variable: a`, 400, nil},
		{"no object", "Setvar", `["a"]`, 400, nil},
		{"half an object", "Setvar", `{"Variable":"a"`, 400, nil},
		{"two objects", "Setvar", `{} {}`, 400, nil},
		{"null", "Setvar", `{"Variable":null}`, 400, nil},
		{"object", "Setvar", `{"Value":{"a":1}}`, 400, nil},
		{"not UTF-8", "Setvar", "{\"Value\":\"\xe9\"}", 400, nil},
		{"half a character", "Setvar", `{"Value":"\ud83d"}`, 400, nil},
		{"CR", "Setvar", `{"Value":"a\rb"}`, 400, nil},
		{"LF", "Setvar", `{"Value":"a\nb"}`, 400, nil},
		{"NUL", "Setvar", `{"Value":"a\u0000b"}`, 400, nil},
		{"LF in a name", "Setvar", `{"Val\nue":"a"}`, 400, nil},
		{"colon in a name", "Setvar", `{"Value: a":"b"}`, 400, nil},
		{"1023 bytes", "Setvar", `{"Value":"` + strings.Repeat("v", 1023-len("Value: ")) + `"}`, 400, nil},
		{"129 headers", "Setvar", `{"Variable":` + many + `}`, 400, nil},
		{"another Action", "Setvar", `{"Action":"Ping"}`, 400, nil},
		{"a long ActionID", "Setvar", `{"ActionID":"` + strings.Repeat("i", 257) + `"}`, 400, nil},
		{"no variable's name", "Setvar", `{"Variable":{"a=b":1}}`, 400, nil},
		{"another spelling", "setvar", ``, 400, nil},
		{"a timeout of nothing", "Setvar", ``, 400, []string{"Ami-Timeout", "0s"}},
		{"an unknown header", "Setvar", ``, 400, []string{"Ami-Timout", "1s"}},
		{"an unknown parameter", "Setvar", `{"Varible":"a","Value":"1"}`, 400, []string{"Ami-Validate", "strict"}},
		{"always refused", "Logoff", ``, 403, nil},
		{"refused by default", "UpdateConfig", ``, 403, nil},
		{"a shell", "Originate", `{"Channel":"Local/1@a","Application":"System","Data":"id"}`, 403, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			before := sim.Received(test.action)
			kind := map[int]string{400: "bad_request", 403: "forbidden"}[test.code]
			harness.IsError(t, r.Call("pbx1", test.action, test.body, test.header...), test.code, kind, "no")
			// The same session answers in order.
			harness.Succeeds(t, r.Call("pbx1", "Ping", ""))
			if n := sim.Received(test.action); n != before {
				t.Errorf("it was sent %d times", n-before)
			}
		})
	}
	// As long and as many as Asterisk takes.
	for _, body := range []string{
		`{"Variable":"a","Value":"` + strings.Repeat("v", 1022-len("Value: ")) + `"}`,
		`{"Variable":"a","Value":` + strings.Replace(many, `"1","1",`, "", 1) + `}`,
	} {
		harness.Succeeds(t, r.Call("pbx1", "Setvar", body))
	}
	if n := sim.Received("Setvar"); n != 2 {
		t.Errorf("two that are right were sent %d times", n)
	}
}

// What is wrong with Asterisk or with the way to it. CoreStatus is the action
// that fails, and received how often Asterisk got it.
func TestErrors_OfTheServer(t *testing.T) {
	t.Parallel()
	const action = "CoreStatus"
	for _, test := range []struct {
		name     string
		change   func(*config.ServerConfig)
		provoke  func(t *testing.T, sim *amisim.Server, r *harness.Running) (last func())
		code     int
		kind     string
		sent     string
		received int
		again    bool // it must say when to come again
	}{
		{"refused", nil, next(amisim.Deny("Permission denied")), 422, "asterisk_error", "yes", 1, false},
		{"too large", nil, next(amisim.Oversize(3 << 20)), 413, "reply_too_large", "yes", 1, false},
		{"lost", nil, next(amisim.Refuse), 502, "connection_lost", "unknown", 1, false},
		{"no answer", nil, next(amisim.Ignore), 504, "timeout", "unknown", 1, false},
		{"too many pending", func(s *config.ServerConfig) { s.MaxPending, s.State = 1, nil }, holdOne, 429, "busy", "no", 0, true},
		{"too many a second", func(s *config.ServerConfig) { s.ActionRates = policy.Rates{{Pattern: action, Value: 0.01}} }, once, 429, "busy", "no", 1, true},
		{"not connected", nil, away, 503, "not_connected", "no", 0, false},
		{"breaker open", func(s *config.ServerConfig) { s.BreakerFailures = 2 }, opened, 503, "breaker_open", "no", 0, true},
		{"shutting down", nil, harness.Stopping, 503, "shutting_down", "no", 0, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			sim, r := harness.ChaosBridge(t, amisim.Config{}, test.change)
			last := test.provoke(t, sim, r)
			timeout := "20s"
			if test.kind == "timeout" {
				timeout = "4s"
			}
			got := r.Call("pbx1", action, "", "Ami-Timeout", timeout)
			harness.IsError(t, got, test.code, test.kind, test.sent)
			if test.again && got.Error.RetryAfter == 0 {
				t.Errorf("again in %d ms", got.Error.RetryAfter)
			}
			if (got.Response != "") != (test.code == 422) {
				t.Errorf("response %q", got.Response)
			}
			last()
			if n := sim.Received(action); n != test.received {
				t.Errorf("Asterisk got it %d times, want %d", n, test.received)
			}
		})
	}
}

// next has the action meet a fault.
func next(f amisim.Fault) func(*testing.T, *amisim.Server, *harness.Running) func() {
	return func(_ *testing.T, sim *amisim.Server, _ *harness.Running) func() {
		sim.Next("CoreStatus", f)
		return func() {}
	}
}

// holdOne takes the only place for a pending action.
func holdOne(t *testing.T, sim *amisim.Server, r *harness.Running) func() {
	came := harness.Hold(t, sim, "CoreSettings")
	pending := r.Ask("pbx1", "CoreSettings", "")
	h := harness.Within(t, "the first action", came)
	return func() {
		h.Release <- ""
		harness.Succeeds(t, r.Answer(pending))
	}
}

// once takes what the rate allows.
func once(t *testing.T, _ *amisim.Server, r *harness.Running) func() {
	harness.Succeeds(t, r.Call("pbx1", "CoreStatus", ""))
	return func() { harness.Succeeds(t, r.Call("pbx1", "Ping", "")) }
}

// away takes the server away; what the bridge had kept it would send when that
// is back.
func away(t *testing.T, sim *amisim.Server, r *harness.Running) func() {
	harness.Down(r, sim, "pbx1")
	return func() {
		states := r.Subscribe("ami.status.pbx1.connection")
		sim.Always(amisim.Accept, nil)
		r.AwaitText(states, `"role":"action","from":"connecting","to":"up"`)
		harness.Succeeds(t, r.Call("pbx1", "Ping", ""))
	}
}

// opened has the breaker open.
func opened(_ *testing.T, sim *amisim.Server, r *harness.Running) func() {
	breaker := r.Subscribe("ami.status.pbx1.breaker")
	sim.Always(amisim.Accept, amisim.Refuse)
	sim.Kick()
	r.AwaitText(breaker, `"to":"open"`)
	return func() {}
}
