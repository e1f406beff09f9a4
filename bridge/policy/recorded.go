package policy

import (
	"regexp"
	"slices"
	"strings"
)

// inCommand is what Asterisk takes in the name of a recording for the begin of a
// command. When a telephone asks for a recording, by a key, that name is made of the
// numbers of both parties, or else of the names of their channels
// (bridge_builtin_features.c start_automixmonitor): MixMonitor begins another
// argument at a comma, and Monitor has a shell read it in double quotes (res_monitor.c
// ast_monitor_stop).
const inCommand = "," + inShell

// inShell is inCommand where a comma ends an extension.
const inShell = "\"`$\\"

// namesCommand reports whether value, a number or what is dialled, would be a command
// in the name of a recording.
func namesCommand(value string) bool { return strings.ContainsAny(value, inCommand) }

// socket finds a channel that sends what is heard to any host and port, as the application AudioSocket does.
var socket = regexp.MustCompile(`(?i)(^|&)\s*(AudioSocket|UnicastRTP|MulticastRTP)/`)

const sockets = "AudioSocket, UnicastRTP or MulticastRTP, which sends what is heard to any host and port"

// dialsHarm reports whether what is dialled would be a command in the name of a recording, or connects anywhere.
func dialsHarm(dialled string) bool { return namesCommand(dialled) || socket.MatchString(dialled) }

const dialledHarm = "a channel with any of " + inCommand + ", which would name a recording's file, or of " + sockets

// leadsToCommand reports whether place, what a Gosub may have with arguments in brackets behind it, has an
// extension that would be a command in the name of a recording.
func leadsToCommand(place string) bool {
	place, _, _ = strings.Cut(place, "(")
	return strings.ContainsAny(place, inShell)
}

// callerNamesCommand is namesCommand of the number in "name" <number>. What has no
// bracket is a number only if it is one of a telephone (callerid.c
// ast_callerid_parse). Asterisk may cut a long one, so that it begins at the first.
func callerNamesCommand(caller string) bool {
	_, number, _ := strings.Cut(caller, "<")
	return namesCommand(number)
}

// parties are the functions that give a party of a call its number.
var parties = [...]string{"CALLERID", "CONNECTEDLINE", "REDIRECTING"}

// recordingOptions are those of Dial, Queue and BRIDGE_FEATURES that let a telephone
// record: Monitor (w, W) and MixMonitor (x, X) by the one or the other party.
const recordingOptions = "wWxX"

// toFunction looks at an assignment to one of functions.
func (p *Policy) toFunction(action, name, value string) *Refusal {
	function, field, called := strings.Cut(name, "(")
	if !called {
		return nil
	}
	function = strings.TrimSpace(function)
	field, _, _ = strings.Cut(strings.ToLower(argumentQuotes.Replace(field)), ",")
	switch {
	case slices.Contains(parties[:], function) && isNumber(field, value) && namesCommand(value):
		return p.wants(action, held{shown: function, what: "a number with any of " + inCommand + " in " + function + ", which would name a recording's file"})
	case function == "CHANNEL" && strings.Contains(field, "dtmf_features") && strings.ContainsAny(value, recordingOptions):
		return p.wants(action, held{shown: function, what: "CHANNEL(dtmf_features), by which a telephone records into a file"})
	case function == "CHANNEL" && (strings.Contains(field, "hangup_handler") && leadsToCommand(value) || strings.Contains(field, "after_bridge_goto") && strings.ContainsAny(value, inShell)):
		return p.wants(action, held{shown: function, what: "CHANNEL(hangup_handler_…) or CHANNEL(after_bridge_goto), " + extenNames})
	case function == "CHANNEL" && strings.Contains(field, "language") && leavesSounds(value):
		return p.wants(action, held{shown: function, what: "CHANNEL(language), a path that leaves the folder of sounds"})
	}
	return nil
}

// isNumber reports whether value, of such a field of a party as num, ani-all or
// from-name-charset, is or has a number (func_callerid.c party_id_write).
func isNumber(field, value string) bool {
	words := strings.Split(field, "-")
	is := func(begin string) bool {
		return slices.ContainsFunc(words, func(word string) bool { return strings.HasPrefix(word, begin) })
	}
	switch {
	case is("num"): // whatever else it is
		return true
	case is("name"), is("tag"):
		return false
	case is("all"):
		return callerNamesCommand(value)
	}
	return true
}
