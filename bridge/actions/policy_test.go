package actions

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/name"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/policy"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/policy/policytest"
	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
)

// attempt is a line of testdata/policy, which the test against real Asterisks
// reads too.
type attempt struct {
	Kind, Action, Rule, Works string
	Body                      json.RawMessage
}

func readAttempts(t testing.TB, name string) (all []attempt) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "policy", name))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		var a attempt
		line = strings.ReplaceAll(line, "{MARK}", "/instances/1/spool/mark")
		if err := json.Unmarshal([]byte(line), &a); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		all = append(all, a)
	}
	return all
}

// rule is what refuses an attempt: one of the policy's, or bad_request.
func (a *attempt) rule(p *policy.Policy) string {
	const badRequest = "bad_request"
	name, err := name.ParseAction(a.Action)
	if err != nil {
		return badRequest
	}
	r, err := parseBody(name, a.Body)
	if err != nil {
		return badRequest
	}
	if _, err := frames.AppendAction(nil, append([]frames.Header{{Key: []byte("Action"), Value: []byte(a.Action)}}, r.headers...)); err != nil {
		return badRequest
	}
	if policy.Uncut(name, r.headers) != nil {
		return badRequest
	}
	return policytest.Rule(p, name.String(), r.headers)
}

func TestPolicy_RefusesEachAttack(t *testing.T) {
	attacks, kinds := readAttempts(t, "attacks.jsonl"), map[string]int{}
	// The policy is the same whatever else is allowed that has nothing to do with it.
	for _, allow := range []string{"", "Originate,Getvar,Setvar,Status,MixMonitor,Monitor,ConfbridgeStartRecord"} {
		p := policytest.New(t, allow, "", "")
		for i := range attacks {
			a := &attacks[i]
			kinds[a.Kind]++
			if got := a.rule(p); got != a.Rule {
				t.Errorf("%q %s is refused by %q, want %q", a.Action, a.Body, got, a.Rule)
			}
		}
	}
	if len(attacks) < 60 || len(kinds) < 12 {
		t.Errorf("only %d attacks of %d kinds", len(attacks), len(kinds))
	}
}

// What a refusal says would grant it does grant it, and what denies it beats that.
func TestPolicy_EachRefusalNamesItsGrant(t *testing.T) {
	for _, a := range readAttempts(t, "attacks.jsonl") {
		grant, ok := strings.CutPrefix(a.Rule, "default ")
		if !ok || strings.Contains(grant, "<") {
			continue
		}
		if got := a.rule(policytest.New(t, grant, "", "")); got == a.Rule {
			t.Errorf("%s %s is refused by %q although that is granted", a.Action, a.Body, got)
		}
		if got := a.rule(policytest.New(t, a.Action+":*", "", "")); got != "" {
			t.Errorf("%s %s is refused by %q although all of it is granted", a.Action, a.Body, got)
		}
		if got, want := a.rule(policytest.New(t, "*,*:*", grant, "")), "ACTIONS_DENY="+grant; got != want {
			t.Errorf("%s %s is refused by %q, want %q", a.Action, a.Body, got, want)
		}
	}
}

func TestPolicy_LetsOrdinaryRequestsPass(t *testing.T) {
	ordinary, p := readAttempts(t, "ordinary.jsonl"), policytest.New(t, "", "", "")
	for i := range ordinary {
		if got := ordinary[i].rule(p); got != "" {
			t.Errorf("%s %s is refused by %q", ordinary[i].Action, ordinary[i].Body, got)
		}
	}
	if len(ordinary) < 25 {
		t.Errorf("only %d ordinary requests", len(ordinary))
	}
}

// What docs/upgrading.md has for going back does bring back all that an Action
// may hold.
func TestDocs_GoingBackGrantsWhatPassedBefore(t *testing.T) {
	page, err := os.ReadFile("../../docs/upgrading.md")
	if err != nil {
		t.Fatal(err)
	}
	allow := regexp.MustCompile(`BRIDGE_SERVER_PBX1_ACTIONS_ALLOW=(\S+)`).FindSubmatch(page)
	if allow == nil {
		t.Fatal("nothing to go back with")
	}
	p := policytest.New(t, string(allow[1]), "", "")
	for _, a := range readAttempts(t, "attacks.jsonl") {
		if got := a.rule(p); strings.Contains(a.Rule, ":") && got != "" {
			t.Errorf("%s %s is still refused by %q", a.Action, a.Body, got)
		}
	}
}
