package bridge

import (
	"encoding/json"
	"testing"
)

// What docs/policy.md lists one by one is refused one by one.
func TestPolicy_EachOfWhatIsListedIsRefused(t *testing.T) {
	type request struct{ action, headers, want string }
	requests := []request{
		{"ListCategories", "Filename: MANAGER_bridge.conf", "default"},
		{"ListCategories", "Filename: queues.conf", ""},
		{"Status", `Variables: X,Y\`, "default Status:EVAL"},
		{"Status", "Variables: X,Y", ""},
		{"Getvar", "Variable: MIXMONITOR_FILENAME", ""},
		{"Getvar", "Variable: MVM_FILENAME", ""},
		{"Setvar", "Variable: MIXMONITOR_FILENAME", "default Setvar:MIXMONITOR_FILENAME"},
		{"Setvar", "Variable: _MVM_FILENAME", "default Setvar:MVM_FILENAME"},
		{"Originate", "Application: MeetMe\nData: 7,M", ""},
		{"Originate", "Application: Dial\nData: PJSIP/1,9,tT", ""},
		{"UserEvent", "Note: ^{X}", ""},
	}
	for _, action := range []string{"Originate", "Setvar", "Redirect", "Atxfer", "BlindTransfer", "DBPut"} {
		requests = append(requests, request{action, "Note: ^{X}", "default " + action + ":EVAL"})
	}
	for _, variable := range []string{"MONITOR_EXEC", "TOUCH_MONITOR", "MEETME_AGI_BACKGROUND", "MEETME_RECORDINGFILE"} {
		requests = append(requests, request{"Getvar", "Variable: " + variable, "default Getvar:" + variable},
			request{"Setvar", "Variable: __" + variable, "default Setvar:" + variable})
	}
	for _, option := range []string{"b", "r", "i", "I", "v"} {
		requests = append(requests, request{"Originate", "Application: MeetMe\nData: 7,M" + option, "default Originate:MeetMe"})
	}
	for _, option := range []string{"p", "P"} {
		requests = append(requests, request{"Originate", "Application: Dial\nData: PJSIP/1,9,t" + option, "default Originate:Dial"})
	}
	p := testPolicy(t, "", "", "")
	for _, r := range requests {
		if got := ruleOf(judged(p, r.action, testHeaders(r.headers))); got != r.want {
			t.Errorf("%s %q is refused by %q, want %q", r.action, r.headers, got, r.want)
		}
	}
}

// Secrets in replies are shown once ACTIONS_ALLOW matches <Action>:secrets, which
// the Action alone does not, and ACTIONS_DENY beats it.
func TestPolicy_ShowsSecretsOnceTheyAreGranted(t *testing.T) {
	for _, c := range []struct {
		allow, deny string
		want        bool
	}{
		{"", "", false},
		{"PJSIPShowAuths", "", false},
		{"PJSIPShowAuths:secrets", "", true},
		{"pjsipshowauths:SECRETS", "", true},
		{"PJSIP*", "", true},
		{"*", "", true},
		{"PJSIPShowEndpoint:secrets", "", false},
		{"*", "*:secrets", false},
		{"PJSIPShowAuths:secrets", "PJSIPShowAuths:secrets", false},
		{"*", "PJSIPShowEndpoint:secrets", true},
	} {
		if got := testPolicy(t, c.allow, c.deny, "").showsSecrets(actionName{"PJSIPShowAuths"}); got != c.want {
			t.Errorf("with ACTIONS_ALLOW=%s and ACTIONS_DENY=%s: shown is %v", c.allow, c.deny, got)
		}
	}
}

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
		{"Command", `{}`, 0, Verdict{Rule: "default"}},
		{unknownAction, `{}`, 0, Verdict{Rule: "bad_request: " + errNoAction.Error()}},
	} {
		if got := testPolicy(t, "", "", context).judgeRecord(c.action, json.RawMessage(c.fields), c.omitted); got != c.want {
			t.Errorf("%s %s, %d omitted: %+v, want %+v", c.action, c.fields, c.omitted, got, c.want)
		}
	}
}
