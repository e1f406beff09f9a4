package actions

import (
	"encoding/json"
	"strings"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/name"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/policy"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/redact"
	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
)

// Verdict is what a policy says of an Action that the audit has recorded.
type Verdict struct {
	Rule string // that refuses it; "" if none does
	// Unsure: the record does not hold all that was asked for, so that Rule may
	// be wrong.
	Unsure bool
}

// CheckRecord says whether the policy in force for a server lets pass what a
// record of the audit holds. It is false if cfg has no such server. A record has
// secrets masked, values cut and headers left out; ACTION_RATES is not looked at.
func CheckRecord(cfg *config.Config, server, action string, fields json.RawMessage, omitted int) (v Verdict, known bool) {
	for i := range cfg.Servers {
		if own := &cfg.Servers[i]; own.Name == server {
			return checkRecord(policy.New(cfg.PolicyOf(own)), own.Charset, action, fields, omitted), true
		}
	}
	return v, false
}

// neutral takes out of a record what the audit put in the place of secrets, and
// where it cut: neither is text of the request.
var neutral = strings.NewReplacer(redact.Hidden, "redacted", "…", "")

func checkRecord(p *policy.Policy, charset frames.Charset, action string, fields json.RawMessage, omitted int) Verdict {
	token, err := name.ParseAction(action)
	if err != nil || action == name.UnknownAction {
		return Verdict{Rule: "bad_request: " + name.ErrNoAction.Error()}
	}
	text := neutral.Replace(string(fields))
	whole := fields != nil && omitted == 0 && text == string(fields)
	r, err := parseBody(token, []byte(text))
	var headers []frames.Header
	if err == nil {
		headers, err = r.in(charset)
	}
	if err != nil {
		return Verdict{Rule: "bad_request: a header's name, or the body", Unsure: !whole} // err has text of the request
	}
	if policy.Uncut(token, headers) != nil {
		return Verdict{Rule: "bad_request: a value that Asterisk would cut"}
	}
	refused := ruleOf(p.Refuses(token, headers))
	v := Verdict{Rule: refused, Unsure: !whole && (refused == "" || strings.HasPrefix(refused, "ACTIONS_RULES"))}
	// The audit records a variable of an object without the backslashes that kept its value whole.
	for i := range headers {
		h := &headers[i]
		if policy.SameName(h.Key, "Variable") {
			variable, value, _ := strings.Cut(string(h.Value), "=")
			h.Value = []byte(variable + "=" + variableEscaper.Replace(value))
		}
	}
	if ruleOf(p.Refuses(token, headers)) != refused {
		v.Unsure = true
	}
	return v
}

// ruleOf is the rule that refuses, or "".
func ruleOf(refused *policy.Refusal) string {
	if refused == nil {
		return ""
	}
	return refused.Rule
}
