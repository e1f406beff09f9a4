package policy

import (
	"slices"
	"strings"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/name"
	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
)

// held is something that an Action holds and that wants a grant:
// ACTIONS_ALLOW has to match <Action>:<name> for one of its names, and
// ACTIONS_DENY none.
type held struct {
	shown string   // its name in a refusal: never text of the request
	names []string // nil: shown
	what  string   // for the caller: what it is and does
}

// expressions stands for ${…} and $[…], and for ^{…}, which Queue and MixMonitor
// read as ${…}: each may make up any name and run any function.
var expressions = held{shown: "EVAL", what: "an expression, which may run any function"}

// arguments has a row for each header that Asterisk makes a part of a command,
// or of a file's name, of. harmful says which values it is about; nil: all but
// an empty one.
var arguments = [...]struct {
	action, header string
	harmful        func(value string) bool
	grant, what    string
}{
	// app_mixmonitor.c manager_mixmonitor joins the three with commas, and takes them apart again.
	{"MixMonitor", "Command", nil, "Command", "a command for the shell"},
	{"MixMonitor", "File", hasAny(","), "Command", "a comma, behind which a command for the shell may stand"},
	{"MixMonitor", "Options", hasAny(","), "Command", "a comma, behind which a command for the shell may stand"},
	{"MixMonitor", "File", nil, "File", "the name of a file to write"},
	{"MixMonitor", "Options", hasAny("("), "File", "the name of a file to write"},
	// app_confbridge.c set_rec_filename: the arguments of MixMonitor.
	{"ConfbridgeStartRecord", "RecordFile", hasAny(","), "Command", "a comma, behind which a command for the shell may stand"},
	{"ConfbridgeStartRecord", "RecordFile", nil, "RecordFile", "the name of a file to write"},
	{"ConfbridgeStartRecord", "Conference", hasAny(`,"\([/`), "RecordFile", "a conference whose name is more than a word, and would name the file to write"},
	// res_monitor.c ast_monitor_stop puts them into a command in double quotes; without File that is the channel's name.
	{"Monitor", "Mix", nil, "Command", "Mix, which has the shell join the files"},
	{"Monitor", "File", notPlain("/._-@+ "), "Command", "what the shell would not take for a file's name"},
	{"Monitor", "Format", notPlain(""), "Command", "what the shell would not take for a file's name"},
	{"Monitor", "File", nil, "File", "the name of a file to write"},
	{"ChangeMonitor", "File", notPlain("/._-@+ "), "Command", "what the shell would not take for a file's name"},
	{"ChangeMonitor", "File", nil, "File", "the name of a file to write"},
	{"PRIDebugFileSet", "File", nil, "File", "the name of a file to write"},
	// What may name a recording: see inCommand.
	{"Originate", "CallerID", callerNamesCommand, "CallerID", "a number with any of " + inCommand + ", which would name a recording's file"},
	{"Originate", "Channel", dialsHarm, "Channel", dialledHarm},
	{"QueueAdd", "Interface", dialsHarm, "Interface", dialledHarm},
	// No extension has them, but a pattern such as _X. takes them, and many a dialplan records into ${EXTEN}.
	{"Originate", "Exten", namesCommand, "Exten", extenNames},
	{"Originate", "PreDialGoSub", leadsToCommand, "PreDialGoSub", extenNames},
	{"Redirect", "Exten", namesCommand, "Exten", extenNames},
	{"Redirect", "ExtraExten", namesCommand, "ExtraExten", extenNames},
	{"BlindTransfer", "Exten", namesCommand, "Exten", extenNames},
	{"Atxfer", "Exten", namesCommand, "Exten", extenNames},
	// app_queue.c try_calling: MSet takes what a queue with setinterfacevar says of its member.
	{"QueueAdd", "MemberName", assignsMore, "MemberName", "a name with a comma and =, which would assign to a variable"},
	// app_queue.c dump_queue_members joins what reload_queue_members takes apart at the next start.
	{"QueueAdd", "MemberName", addsMembers, "MemberName", otherMembers},
	{"QueueAdd", "StateInterface", addsMembers, "StateInterface", otherMembers},
	{"QueuePause", "Reason", addsMembers, "Reason", otherMembers},
	{"Park", "TimeoutChannel", dialsHarm, "TimeoutChannel", comesBack},
	{"Park", "Channel2", dialsHarm, "Channel2", comesBack},
	// parking_manager.c manager_park does not look whether there is such a channel, and there may be none any more.
	{"Park", "AnnounceChannel", nil, "AnnounceChannel", "an AnnounceChannel, by which Asterisk crashes once that channel is gone"},
	{"DBPut", "Family", isOwnFamily, "Family", ownFamily},
	{"DBDel", "Family", isOwnFamily, "Family", ownFamily},
	{"DBDelTree", "Family", reachesOwnFamily, "Family", ownFamily},
	{"DBGet", "Family", isSecretFamily, "Family", secretFamily},
	{"DBGetTree", "Family", reachesSecretFamily, "Family", secretFamily},
	// data.c data_search_cmp_structure compares secrets as well, so that by and by it tells them.
	{"DataGet", "Search", nil, "Search", "a search, which compares secrets"},
	// app_voicemail.c __has_voicemail counts the files in the folder of that name.
	{"MailboxStatus", "Mailbox", hasAny("/"), "Mailbox", "a mailbox that names another folder"},
	{"MailboxCount", "Mailbox", hasAny("/"), "Mailbox", "a mailbox that names another folder"},
}

const extenNames = "an extension with any of " + inCommand + ", which would name a recording's file"

// comesBack is why what names the telephone that has parked a call holds no expression: once
// the call's time is over, Asterisk makes an extension that dials it, whose arguments are evaluated
// (parking_bridge_features.c parking_duration_callback).
const comesBack = "a channel with any of " + inCommand + ", of which Asterisk would make an extension, or of " + sockets

func assignsMore(value string) bool {
	return strings.Contains(value, ",") && strings.Contains(value, "=")
}

func addsMembers(value string) bool {
	return strings.ContainsAny(value, ",|") && strings.Contains(value, ";")
}

const otherMembers = "a comma or | with a semicolon, behind which a queue that keeps its members reads another one"

// intoDialplan are the Actions whose values the dialplan may hand on to Queue or
// MixMonitor.
var intoDialplan = [...]string{"Originate", "Setvar", "Redirect", "Atxfer", "BlindTransfer", "DBPut", "QueueAdd", "Park"}

// holds returns a refusal if an Action holds something that reaches the shell,
// files or the network, and that is not granted. Every header of a name is
// looked at, whichever Asterisk takes.
func (p *Policy) holds(action name.Action, headers []frames.Header) *Refusal {
	for i := range arguments {
		row := &arguments[i]
		if !action.Is(row.action) {
			continue
		}
		for _, value := range Values(headers, row.header) {
			if value == "" || row.harmful != nil && !row.harmful(value) {
				continue
			}
			if r := p.wants(row.action, held{shown: row.grant, what: row.what}); r != nil {
				return r
			}
		}
	}
	var refused *Refusal
	switch {
	case action.Is("Originate"):
		refused = p.originate(headers)
	case action.Is("Getvar"):
		refused = p.getvar(headers)
	case action.Is("Setvar"):
		refused = p.setvar(headers)
	case action.Is("DBGetTree"):
		refused = p.wholeDatabase(headers)
	case action.Is("Status"):
		for _, names := range Values(headers, "Variables") {
			args, whole := splitArguments(names)
			if refused == nil && !whole {
				refused = p.wants("Status", openEnd)
			}
			if refused == nil {
				refused = p.asks("Status", args)
			}
		}
	}
	if refused != nil {
		return refused
	}
	for _, name := range intoDialplan {
		if action.Is(name) && slices.ContainsFunc(headers, func(h frames.Header) bool { return hasLateExpression(string(h.Value)) }) {
			return p.wants(name, expressions)
		}
	}
	return nil
}

// setvar looks at what a Setvar assigns to: each Value may be that of each Variable.
func (p *Policy) setvar(headers []frames.Header) *Refusal {
	values := append(Values(headers, "Value"), "") // there may be none
	for _, name := range Values(headers, "Variable") {
		for _, value := range values {
			if r := p.assign("Setvar", name, value); r != nil {
				return r
			}
		}
	}
	return nil
}

// hasExpression reports whether an application or the dialplan may take a part
// of text for an expression, once Asterisk has taken quotes and backslashes out.
func hasExpression(text string) bool {
	text = argumentQuotes.Replace(text)
	return strings.Contains(text, "${") || strings.Contains(text, "$[") || strings.Contains(text, "^{")
}

// hasLateExpression is hasExpression of what only Queue and MixMonitor take for one. Asterisk takes
// quotes and backslashes out of a Variable and of a caller's name (callerid.c ast_unescape_quoted).
func hasLateExpression(text string) bool {
	return strings.Contains(text, "^") && strings.Contains(argumentQuotes.Replace(text), "^{")
}

// openEnd is a text that ends in a lone backslash, behind which Asterisk reads
// whatever lies in its memory.
var openEnd = held{shown: "EVAL", what: "a lone backslash at the end of an argument"}

// wants refuses what an Action holds unless it is granted.
func (p *Policy) wants(action string, h held) *Refusal {
	names := h.names
	if names == nil {
		names = []string{h.shown}
	}
	for _, name := range names {
		if r := p.denied(action + ":" + name); r != nil {
			return r
		}
	}
	for _, name := range names {
		if p.lists.Allow.Match(action + ":" + name) {
			return nil
		}
	}
	return p.ungranted(action+":"+h.shown, action+" with "+h.what)
}

// ungranted is the refusal of what that grant would allow.
func (p *Policy) ungranted(grant, what string) *Refusal {
	return &Refusal{"default " + grant, what + ", is refused by default: " + p.lists.Variables.Allow + "=" + grant + " grants it"}
}

func hasAny(chars string) func(string) bool {
	return func(value string) bool { return strings.ContainsAny(value, chars) }
}

func notPlain(also string) func(string) bool {
	return func(value string) bool { return !isPlain(value, also) }
}

// isPlain reports whether value is letters, digits and any of also.
func isPlain(value, also string) bool {
	for i := range len(value) {
		if !name.Valid(value[i:i+1], 1) && strings.IndexByte(also, value[i]) < 0 {
			return false
		}
	}
	return true
}
