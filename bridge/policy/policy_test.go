package policy

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/name"
	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
)

// testPolicy makes a policy as the environment would: allow, deny, rules.
func testPolicy(t testing.TB, allow, deny, rules string) *Policy {
	t.Helper()
	var lists Lists
	if err := errors.Join(lists.Allow.Decode(allow), lists.Deny.Decode(deny), lists.Rules.Decode(rules)); err != nil {
		t.Fatal(err)
	}
	lists.Variables.Allow, lists.Variables.Deny, lists.Variables.Rules = "BRIDGE_ACTIONS_ALLOW", "BRIDGE_ACTIONS_DENY", "BRIDGE_ACTIONS_RULES"
	return New(lists)
}

// testHeaders reads lines such as Context: dialer, the blank after the colon
// left out.
func testHeaders(lines string) []frames.Header {
	var headers []frames.Header
	for line := range strings.SplitSeq(lines, "\n") {
		if key, value, ok := strings.Cut(line, ":"); ok {
			headers = append(headers, frames.Header{Key: []byte(key), Value: []byte(strings.TrimPrefix(value, " "))})
		}
	}
	return headers
}

// judged is refuses of the Action that a subject names.
func judged(p *Policy, action string, headers []frames.Header) *Refusal {
	return p.Refuses(actionOf(action), headers)
}

// actionOf is the Action of that name, which is one.
func actionOf(action string) name.Action {
	name, err := name.ParseAction(action)
	if err != nil {
		panic(err)
	}
	return name
}

// ruleOf is the rule that refuses, or "".
func ruleOf(f *Refusal) string {
	if f == nil {
		return ""
	}
	return f.Rule
}

// wantRule wants p to refuse the Action with those headers by that rule; "": not to.
func wantRule(t *testing.T, p *Policy, action, headers, want string) {
	t.Helper()
	if got := ruleOf(judged(p, action, testHeaders(headers))); got != want {
		t.Errorf("%s %q is refused by %q, want %q", action, headers, got, want)
	}
}

// ruleOfSounds is the rule by which an application is refused whose Data may not play; "" for one
// of which nothing plays.
func ruleOfSounds(application string) string {
	switch application {
	case "NoOp", "Goto", "Gosub", "Macro", "Stasis":
		return ""
	}
	return "default Originate:" + application
}

func TestPolicy_RefusesByDefaultWhatTheContractLists(t *testing.T) {
	always := strings.Fields("Login Logoff Challenge Events Filter WaitEvent")
	byDefault := strings.Fields(`Command UpdateConfig CreateConfig GetConfig GetConfigJSON ModuleLoad
		DialplanExtensionAdd DialplanExtensionRemove AGI PJSIPNotify SIPnotify`)
	nothing, everything := testPolicy(t, "", "", ""), testPolicy(t, "*", "", "")
	headers := testHeaders("Family: CF") // without it a DBGetTree gets all
	table, err := os.ReadFile("../catalog/actions.tsv")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(table)) {
		name, _, _ := strings.Cut(line, "\t")
		if strings.HasPrefix(line, "#") {
			continue
		}
		want, granted := "", ""
		switch {
		case slices.Contains(always, name):
			want, granted = "always", "always"
		case slices.Contains(byDefault, name):
			want = "default"
		}
		for _, spelling := range []string{name, strings.ToLower(name), strings.ToUpper(name)} {
			if got := ruleOf(judged(nothing, spelling, headers)); got != want {
				t.Errorf("%s is refused by %q, want %q", spelling, got, want)
			}
			if got := ruleOf(judged(everything, spelling, headers)); got != granted {
				t.Errorf("%s with ACTIONS_ALLOW=* is refused by %q, want %q", spelling, got, granted)
			}
		}
	}
}

func TestPolicy_DenyBeatsAllow(t *testing.T) {
	p := testPolicy(t, "Command,Queue*,Originate:*", "Queue*,DB*,Originate:System", "")
	for action, want := range map[string]string{
		"QueuePause": "ACTIONS_DENY=Queue*", "queuepause": "ACTIONS_DENY=Queue*", "DBPut": "ACTIONS_DENY=DB*",
		"Command": "", "GetConfig": "default", "Ping": "", "Login": "always",
	} {
		if got := ruleOf(judged(p, action, nil)); got != want {
			t.Errorf("%s is refused by %q, want %q", action, got, want)
		}
	}
	if got := ruleOf(judged(p, "Originate", testHeaders("Application: system"))); got != "ACTIONS_DENY=Originate:System" {
		t.Errorf("a denied application is refused by %q", got)
	}
	if got := ruleOf(judged(p, "Originate", testHeaders("Application: TrySystem"))); got != "" {
		t.Errorf("a granted application is refused by %q", got)
	}
}
