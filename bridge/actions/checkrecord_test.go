package actions

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/setting"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config/configtest"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/name"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/policy/policytest"
	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
)

// Of a record that does not hold all that was asked for it is only said what is
// sure of the whole request.
func TestPolicy_JudgesRecordsAsFarAsTheyTell(t *testing.T) {
	const context = "Originate: Context in (dialer)"
	for _, c := range []struct {
		action, fields string
		omitted        int
		want           Verdict
	}{
		{"Originate", `{"Context":"dialer"}`, 0, Verdict{}},
		{"Originate", `{"Context":"dialer"}`, 1, Verdict{Unsure: true}},
		{"Originate", `{"Context":"dialer","Variable":"PIN=[redacted]"}`, 0, Verdict{Unsure: true}},
		{"Originate", `{"Context":"dialer","Data":"x…"}`, 0, Verdict{Unsure: true}},
		{"Originate", `{"Context":"other"}`, 0, Verdict{Rule: "ACTIONS_RULES: " + context}},
		{"Originate", `{"Channel":"PJSIP/1"}`, 1, Verdict{Rule: "ACTIONS_RULES: " + context, Unsure: true}},
		{"Originate", `{"Application":"System"}`, 1, Verdict{Rule: "default Originate:System"}},
		// As a string it is two assignments, as an object it was one.
		{"Originate", `{"Context":"dialer","Variable":"A=x,SHELL(id)=1"}`, 0, Verdict{Rule: "default Originate:SHELL", Unsure: true}},
		{"Originate", `{"Context":"dialer","Variable":"SHELL(id)=1"}`, 0, Verdict{Rule: "default Originate:SHELL"}},
		{"Originate", `{"Context":"dialer","Variable":"CALLERID(num)=1,,id"}`, 0, Verdict{Unsure: true}},
		{"Originate", `{"Context":"dialer","Exten":"` + strings.Repeat("7", 80) + `"}`, 0, Verdict{Rule: "bad_request: a value that Asterisk would cut"}},
		{"Command", `{}`, 0, Verdict{Rule: "default"}},
		{"Originate", ``, 0, Verdict{Rule: "ACTIONS_RULES: " + context, Unsure: true}}, // the body could not be read
		{"Ping", ``, 0, Verdict{Unsure: true}},
		{"Ping", `{}`, 0, Verdict{}},
		{name.UnknownAction, `{}`, 0, Verdict{Rule: "bad_request: " + name.ErrNoAction.Error()}},
	} {
		var fields json.RawMessage
		if c.fields != "" {
			fields = json.RawMessage(c.fields)
		}
		if got := checkRecord(policytest.New(t, "", "", context), frames.UTF8, c.action, fields, c.omitted); got != c.want {
			t.Errorf("%s %s, %d omitted: %+v, want %+v", c.action, c.fields, c.omitted, got, c.want)
		}
	}
}

// A record is judged by the policy of its server.
func TestPolicy_JudgesRecordsByTheirServer(t *testing.T) {
	cfg := configtest.Valid()
	cfg.Servers[1].ActionsDeny = setting.Globs{"Ping"}
	for server, want := range map[string]Verdict{"pbx1": {}, "pbx-2": {Rule: "ACTIONS_DENY=Ping"}} {
		if got, known := CheckRecord(&cfg, server, "Ping", json.RawMessage(`{}`), 0); got != want || !known {
			t.Errorf("%s: %+v, known is %v", server, got, known)
		}
	}
	if _, known := CheckRecord(&cfg, "any", "Ping", json.RawMessage(`{}`), 0); known {
		t.Error("any is a server")
	}
}
