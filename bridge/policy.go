package bridge

import "strings"

// refusedAlways would change the bridge's own sessions.
var refusedAlways = [...]string{"Login", "Logoff", "Challenge", "Events", "Filter", "WaitEvent"}

// refusedByDefault reach files, the shell or the dialplan; ACTIONS_ALLOW has to
// name them.
var refusedByDefault = [...]string{
	"Command", "UpdateConfig", "CreateConfig", "GetConfig", "GetConfigJSON", "ModuleLoad",
	"DialplanExtensionAdd", "DialplanExtensionRemove", "AGI", "PJSIPNotify",
}

// policy decides which Actions a server's callers may ask for.
type policy struct {
	allow, deny Globs
}

// refuses returns why action is refused, or "". Asterisk ignores the case of an
// action's name (manager.c process_message), so all lists do too.
func (p policy) refuses(action string) string {
	for _, name := range refusedAlways {
		if strings.EqualFold(name, action) {
			return name + " is always refused: it would change the bridge's own session"
		}
	}
	if p.deny.Match(action) {
		return action + " is refused by ACTIONS_DENY"
	}
	for _, name := range refusedByDefault {
		if strings.EqualFold(name, action) && !p.allow.Match(action) {
			return action + " is refused unless ACTIONS_ALLOW names it"
		}
	}
	return ""
}
