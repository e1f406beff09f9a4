package policytest

import (
	"errors"
	"strings"
	"testing"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/name"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/policy"
	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
)

// New makes a policy as the environment would: allow, deny, rules.
func New(t testing.TB, allow, deny, rules string) *policy.Policy {
	t.Helper()
	var lists policy.Lists
	if err := errors.Join(lists.Allow.Decode(allow), lists.Deny.Decode(deny), lists.Rules.Decode(rules)); err != nil {
		t.Fatal(err)
	}
	lists.Variables.Allow, lists.Variables.Deny, lists.Variables.Rules = "BRIDGE_ACTIONS_ALLOW", "BRIDGE_ACTIONS_DENY", "BRIDGE_ACTIONS_RULES"
	return policy.New(lists)
}

// Headers reads lines such as Context: dialer.
func Headers(lines string) (headers []frames.Header) {
	for line := range strings.SplitSeq(lines, "\n") {
		if key, value, ok := strings.Cut(line, ":"); ok {
			headers = append(headers, frames.Header{Key: []byte(key), Value: []byte(strings.TrimPrefix(value, " "))})
		}
	}
	return headers
}

// Name is the Action of that name, which is one.
func Name(action string) name.Action {
	n, err := name.ParseAction(action)
	if err != nil {
		panic(err)
	}
	return n
}

// Rule is the rule of p that refuses action, or "".
func Rule(p *policy.Policy, action string, headers []frames.Header) string {
	if f := p.Refuses(Name(action), headers); f != nil {
		return f.Rule
	}
	return ""
}
