package bridge

import (
	"strings"

	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
)

// refusedAlways would change the bridge's own sessions.
var refusedAlways = [...]string{"Login", "Logoff", "Challenge", "Events", "Filter", "WaitEvent"}

// refusedByDefault reach files, the shell or the dialplan; ACTIONS_ALLOW has to
// name them. What other Actions may hold that does is in policy_shell.go.
var refusedByDefault = [...]string{
	"Command", "UpdateConfig", "CreateConfig", "GetConfig", "GetConfigJSON", "ModuleLoad",
	"DialplanExtensionAdd", "DialplanExtensionRemove", "AGI", "PJSIPNotify",
}

// policy decides which Actions a server's callers may ask for. It is not
// changed once made, so that it may be used concurrently.
type policy struct {
	allow, deny Globs
	rules       Rules
	charset     frames.Charset // of the headers' values
	// names are those of the variables that the lists come from.
	names struct{ allow, deny, rules string }
}

// forbidden is why a request is refused. Neither text holds a header's value,
// which may be a secret.
type forbidden struct {
	rule   string // stable, for the audit: always, default…, ACTIONS_DENY=…, ACTIONS_RULES: …
	reason string // for the caller: names the rule and what would grant it
}

// newPolicy returns the policy of one server; its lists replace the bridge's
// when they are not empty.
func newPolicy(all *Config, own *ServerConfig) *policy {
	p := &policy{allow: all.ActionsAllow, deny: all.ActionsDeny, rules: all.ActionsRules, charset: own.Charset}
	p.names.allow, p.names.deny, p.names.rules = "BRIDGE_ACTIONS_ALLOW", "BRIDGE_ACTIONS_DENY", "BRIDGE_ACTIONS_RULES"
	if len(own.ActionsAllow) > 0 {
		p.allow, p.names.allow = own.ActionsAllow, own.Variable("ACTIONS_ALLOW")
	}
	if len(own.ActionsDeny) > 0 {
		p.deny, p.names.deny = own.ActionsDeny, own.Variable("ACTIONS_DENY")
	}
	if len(own.ActionsRules) > 0 {
		p.rules, p.names.rules = own.ActionsRules, own.Variable("ACTIONS_RULES")
	}
	return p
}

// refuses returns why a request is refused, or nil. The headers are those that
// would be written, in their order and charset. Asterisk ignores the case of an
// action's name (manager.c process_message), so all lists do too.
func (p *policy) refuses(action string, headers []frames.Header) *forbidden {
	if name := findName(refusedAlways[:], action); name != "" {
		return &forbidden{"always", name + " is always refused: it would change the bridge's own session"}
	}
	if r := p.denied(action); r != nil {
		return r
	}
	if name := findName(refusedByDefault[:], action); name != "" && !p.allow.Match(action) {
		return &forbidden{"default", name + " is refused by default: " + p.names.allow + "=" + name + " grants it"}
	}
	if r := p.reachesShell(action, headers); r != nil {
		return r
	}
	for i := range p.rules {
		if r := p.rules[i].refuses(action, headers, p.charset); r != nil {
			r.reason += " refused by " + p.names.rules + ": " + p.rules[i].text
			return r
		}
	}
	return nil
}

// denied looks for an Action, or <Action>:<what it holds>, in ACTIONS_DENY.
func (p *policy) denied(name string) *forbidden {
	glob := p.deny.find(name)
	if glob == "" {
		return nil
	}
	// What matched may be a caller's text: the glob says enough.
	action, _, _ := strings.Cut(name, ":")
	return &forbidden{"ACTIONS_DENY=" + glob, action + " is refused by " + p.names.deny + "=" + glob + ": it is granted once nothing there matches"}
}

// findName returns the one of names that is name but for case, or "".
func findName(names []string, name string) string {
	for _, n := range names {
		if strings.EqualFold(n, name) {
			return n
		}
	}
	return ""
}
