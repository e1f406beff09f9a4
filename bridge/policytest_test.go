package bridge

import (
	"errors"
	"strings"
	"testing"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/name"
	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
)

// thePolicy makes a policy as the environment would: allow, deny, rules.
func thePolicy(t testing.TB, allow, deny, rules string) *policy {
	t.Helper()
	var lists policyLists
	if err := errors.Join(lists.allow.Decode(allow), lists.deny.Decode(deny), lists.rules.Decode(rules)); err != nil {
		t.Fatal(err)
	}
	lists.variables.allow, lists.variables.deny, lists.variables.rules = "BRIDGE_ACTIONS_ALLOW", "BRIDGE_ACTIONS_DENY", "BRIDGE_ACTIONS_RULES"
	return newPolicy(lists)
}

// headersIn reads lines such as Context: dialer.
func headersIn(lines string) (headers []frames.Header) {
	for line := range strings.SplitSeq(lines, "\n") {
		if key, value, ok := strings.Cut(line, ":"); ok {
			headers = append(headers, frames.Header{Key: []byte(key), Value: []byte(strings.TrimPrefix(value, " "))})
		}
	}
	return headers
}

// nameOf is the Action of that name, which is one.
func nameOf(action string) name.Action {
	n, err := name.ParseAction(action)
	if err != nil {
		panic(err)
	}
	return n
}

// ruleFor is the rule of p that refuses action, or "".
func ruleFor(p *policy, action string, headers []frames.Header) string {
	if f := p.refuses(nameOf(action), headers); f != nil {
		return f.rule
	}
	return ""
}
