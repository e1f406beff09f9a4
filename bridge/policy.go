package bridge

import (
	"slices"
	"strings"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/setting"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/name"
	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
)

// refusedAlways would change the bridge's own sessions.
var refusedAlways = [...]string{"Login", "Logoff", "Challenge", "Events", "Filter", "WaitEvent"}

// refusedByDefault reach files, the shell or the dialplan; ACTIONS_ALLOW has to
// name them. What other Actions may hold that does is in policy_holds.go.
var refusedByDefault = [...]string{
	"Command", "UpdateConfig", "CreateConfig", "GetConfig", "GetConfigJSON", "ModuleLoad",
	"DialplanExtensionAdd", "DialplanExtensionRemove", "AGI", "PJSIPNotify",
}

// policy decides which Actions a server's callers may ask for. It is not
// changed once made, so that it may be used concurrently.
type policy struct{ lists policyLists }

// forbidden is why a request is refused. Neither text holds a header's value,
// which may be a secret.
type forbidden struct {
	rule   string // stable, for the audit: always, default…, ACTIONS_DENY=…, ACTIONS_RULES: …
	reason string // for the caller: names the rule and what would grant it
}

// policyLists are what a policy goes by. Refusals name the variables that the
// lists come from.
type policyLists struct {
	allow, deny setting.Globs
	rules       Rules
	charset     frames.Charset // of the headers' values
	variables   policyVariables
}

// policyVariables are the names of the variables that the lists come from.
type policyVariables struct{ allow, deny, rules string }

// newPolicy returns the policy of these lists.
func newPolicy(lists policyLists) *policy { return &policy{lists: lists} }

// refuses returns why a request is refused, or nil. The headers are those that
// would be written, in their order and charset. Asterisk ignores the case of an
// action's name (manager.c process_message), so all lists do too.
func (p *policy) refuses(action name.Action, headers []frames.Header) *forbidden {
	if name := findName(refusedAlways[:], action.String()); name != "" {
		return &forbidden{"always", name + " is always refused: it would change the bridge's own session"}
	}
	if r := p.denied(action.String()); r != nil {
		return r
	}
	if name := findName(refusedByDefault[:], action.String()); name != "" && !p.lists.allow.Match(name) {
		return &forbidden{"default", name + " is refused by default: " + p.lists.variables.allow + "=" + name + " grants it"}
	}
	if action.Is("ListCategories") && !p.lists.allow.Match("ListCategories") && slices.ContainsFunc(values(headers, "Filename"), showsUsers) {
		return &forbidden{"default", "ListCategories of manager.conf, or of a file outside its folder, is refused by default: " + p.lists.variables.allow + "=ListCategories grants it"}
	}
	if r := p.holds(action, headers); r != nil {
		return r
	}
	for i := range p.lists.rules {
		if r := p.lists.rules[i].refuses(action.String(), headers, p.lists.charset); r != nil {
			r.reason += " refused by " + p.lists.variables.rules + ": " + p.lists.rules[i].text
			return r
		}
	}
	return nil
}

// showsUsers reports whether a file may name the users of AMI: manager.conf, one
// that it is divided into, or any that is not named plainly.
func showsUsers(file string) bool {
	base, plain := strings.CutSuffix(file, ".conf")
	return file != "" && (!plain || !isPlain(base, "_-") || strings.HasPrefix(strings.ToLower(base), "manager"))
}

// denied looks for an Action, or <Action>:<what it holds>, in ACTIONS_DENY.
func (p *policy) denied(name string) *forbidden {
	glob := p.lists.deny.Find(name)
	if glob == "" {
		return nil
	}
	// What matched may be a caller's text: the glob says enough.
	action, _, _ := strings.Cut(name, ":")
	return &forbidden{"ACTIONS_DENY=" + glob, action + " is refused by " + p.lists.variables.deny + "=" + glob + ": it is granted once nothing there matches"}
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

// showsSecrets reports whether callers see what is secret in the replies to
// action: once ACTIONS_ALLOW grants <Action>:secrets, and ACTIONS_DENY does not
// refuse it.
func (p *policy) showsSecrets(action name.Action) bool {
	grant := action.String() + ":secrets"
	return p.lists.deny.Find(grant) == "" && p.lists.allow.Match(grant)
}

// DefaultRefused returns the Actions that are refused until ActionsAllow names
// them.
func DefaultRefused() []string { return slices.Clone(refusedByDefault[:]) }
