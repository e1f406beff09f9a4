package policy

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
// name them. What other Actions may hold that reaches there is in holds.go.
var refusedByDefault = [...]string{
	"Command", "UpdateConfig", "CreateConfig", "GetConfig", "GetConfigJSON", "ModuleLoad",
	"DialplanExtensionAdd", "DialplanExtensionRemove", "AGI", "PJSIPNotify", "SIPnotify",
}

// Policy decides which Actions a server's callers may ask for. It is not
// changed once made, so that it may be used concurrently.
type Policy struct{ lists Lists }

// Refusal is why a request is refused. Neither text holds a header's value,
// which may be a secret.
type Refusal struct {
	Rule   string // stable, for the audit: always, default…, ACTIONS_DENY=…, ACTIONS_RULES: …
	Reason string // for the caller: names the rule and what would grant it
}

// Lists are what a policy goes by. Refusals name the variables that the
// lists come from.
type Lists struct {
	Allow, Deny setting.Globs
	Rules       Rules
	Charset     frames.Charset // of the headers' values
	Variables   Variables
}

// Variables are the names of the variables that the lists come from.
type Variables struct{ Allow, Deny, Rules string }

// New returns the policy of these lists.
func New(lists Lists) *Policy { return &Policy{lists: lists} }

// Refuses returns why a request is refused, or nil. The headers are those that
// would be written, in their order and charset. Asterisk ignores the case of an
// action's name (manager.c process_message), so all lists do too.
func (p *Policy) Refuses(action name.Action, headers []frames.Header) *Refusal {
	if name := findName(refusedAlways[:], action.String()); name != "" {
		return &Refusal{"always", name + " is always refused: it would change the bridge's own session"}
	}
	if r := p.denied(action.String()); r != nil {
		return r
	}
	if name := findName(refusedByDefault[:], action.String()); name != "" && !p.lists.Allow.Match(name) {
		return &Refusal{"default", name + " is refused by default: " + p.lists.Variables.Allow + "=" + name + " grants it"}
	}
	if action.Is("ListCategories") && !p.lists.Allow.Match("ListCategories") && slices.ContainsFunc(Values(headers, "Filename"), showsUsers) {
		return &Refusal{"default", "ListCategories of manager.conf, or of a file outside its folder, is refused by default: " + p.lists.Variables.Allow + "=ListCategories grants it"}
	}
	if r := p.holds(action, headers); r != nil {
		return r
	}
	for i := range p.lists.Rules {
		if r := p.lists.Rules[i].refuses(action.String(), headers, p.lists.Charset); r != nil {
			r.Reason += " refused by " + p.lists.Variables.Rules + ": " + p.lists.Rules[i].text
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
func (p *Policy) denied(name string) *Refusal {
	glob := p.lists.Deny.Find(name)
	if glob == "" {
		return nil
	}
	// What matched may be a caller's text: the glob says enough.
	action, _, _ := strings.Cut(name, ":")
	return &Refusal{"ACTIONS_DENY=" + glob, action + " is refused by " + p.lists.Variables.Deny + "=" + glob + ": it is granted once nothing there matches"}
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

// ShowsSecrets reports whether callers see what is secret in the replies to
// action: once ACTIONS_ALLOW grants <Action>:secrets, and ACTIONS_DENY does not
// refuse it.
func (p *Policy) ShowsSecrets(action name.Action) bool {
	grant := action.String() + ":secrets"
	return p.lists.Deny.Find(grant) == "" && p.lists.Allow.Match(grant)
}

// DefaultRefused returns the Actions that are refused until ActionsAllow names
// them.
func DefaultRefused() []string { return slices.Clone(refusedByDefault[:]) }
