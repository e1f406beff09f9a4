package policy

import (
	"slices"
	"strings"

	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
)

// application is one that an Originate may run without a grant. harmful says what
// in its arguments is not harmless, or ""; nil: playsElse.
type application struct {
	name    string
	harmful func(data string, args []string) string
}

// applications play, wait, queue, dial, bridge, hang up, or go where Context
// could.
var applications = [...]application{
	{"Dial", dialHarms}, {"Queue", queueHarms}, {"MeetMe", meetmeHarms}, {"ConfBridge", confbridgeHarms}, {"Bridge", bridgeHarms},
	{"BridgeWait", nil}, {"Playback", nil}, {"ControlPlayback", nil}, {"BackGround", nil},
	{"Wait", nil}, {"WaitExten", nil}, {"WaitForSilence", nil}, {"MusicOnHold", nil}, {"Echo", nil}, {"Milliwatt", nil},
	{"Answer", nil}, {"Hangup", nil}, {"Busy", nil}, {"Congestion", nil}, {"Ringing", nil}, {"NoOp", passesOn},
	{"SayAlpha", nil}, {"SayAlphaCase", nil}, {"SayCountedAdj", nil}, {"SayCountedNoun", nil}, {"SayCountPL", nil},
	{"SayDigits", nil}, {"SayMoney", nil}, {"SayNumber", nil}, {"SayOrdinal", nil}, {"SayPhonetic", nil},
	{"SayUnixTime", nil}, {"DateTime", nil},
	{"SendDTMF", nil}, {"Playtones", nil},
	{"Park", parkHarms}, {"ParkedCall", nil}, {"Pickup", nil}, {"PickupChan", nil}, {"AMD", nil}, {"AgentLogin", nil}, {"AgentRequest", nil},
	{"Goto", passesOn}, {"Gosub", passesOn}, {"Macro", passesOn}, {"Stasis", passesOn},
}

// passesOn: its arguments are the dialplan's or a program's, and no sound.
func passesOn(string, []string) string { return "" }

// playsElse is of all that may play.
func playsElse(data string, _ []string) string {
	if leavesSounds(data) {
		return "a URL, which Asterisk would fetch into a file, or a path that leaves the folder of sounds"
	}
	return ""
}

// dialHarms: privacy (P) and screening (p) record the caller's name into a file
// that the caller's number names (app_dial.c setup_privacy_args); by w, W, x and X a
// telephone may record; what is dialled, and the number that f and o set, may name
// the file.
func dialHarms(data string, args []string) string {
	options := argument(args, 2)
	switch {
	case hasOption(options, "pP"+recordingOptions):
		return "option p, P, w, W, x or X, which records into a file"
	case socket.MatchString(argument(args, 0)):
		return "a channel of " + sockets
	case namesCommand(argument(args, 0)), hasOption(options, "fo") && namesCommand(options):
		return "any of " + inCommand + " in what is dialled, or in a caller's number: it would name a recording's file"
	case hasOption(options, "G"): // app_dial.c gives the called channel away, and uses it after that
		return "option G, by which Asterisk may crash"
	case leadsOn(options, "FbB"):
		return extenNames
	}
	return playsElse(data, args)
}

// queueHarms: the sixth argument is an AGI (app_queue.c queue_exec), and by w, W, x
// and X a telephone may record.
func queueHarms(data string, args []string) string {
	switch {
	case argument(args, 5) != "":
		return "a sixth argument, which is an AGI"
	case hasOption(argument(args, 1), recordingOptions):
		return "option w, W, x or X, which records into a file"
	case leadsOn(argument(args, 1), "FbB"):
		return extenNames
	}
	return playsElse(data, args)
}

// leadsOn reports whether options may have one of letters, by which a call goes to an extension, and what would be a
// command in the name of a recording.
func leadsOn(options, letters string) bool {
	return hasOption(options, letters) && strings.ContainsAny(options, inShell)
}

// parkHarms: option c, or to 11 the third argument, says where a call goes that nobody takes.
func parkHarms(data string, args []string) string {
	if strings.ContainsAny(strings.Join(args, ","), inShell) {
		return extenNames
	}
	return playsElse(data, args)
}

// bridgeHarms: by w and W a telephone may record (features.c bridge_exec). The
// options are all behind the first comma, quotes and backslashes as well.
func bridgeHarms(data string, args []string) string {
	options := strings.Join(args[min(1, len(args)):], ",")
	if hasOption(options, "wW") || strings.ContainsAny(data, `\"`) && strings.ContainsAny(options, "wW") {
		return "option w or W, which records into a file"
	}
	if leadsOn(options, "F") {
		return extenNames
	}
	return playsElse(data, args)
}

// meetmeHarms: b runs the AGI in MEETME_AGI_BACKGROUND, r records, i, I and v
// record the caller's name (app_meetme.c meetme_opts). By the menu (s) an admin (a) may
// record, in a file that the conference names (meetme_menu_admin_extended).
func meetmeHarms(data string, args []string) string {
	options := argument(args, 1)
	if hasOption(options, "briIv") || hasOption(options, "s") && hasOption(options, "a") {
		return "option b, i, I, r or v, or a with s, which runs an AGI or records into a file"
	}
	return playsElse(data, args)
}

// confbridgeHarms: a recording's file has the conference's name, behind which a
// comma begins MixMonitor's arguments, of which one is a command
// (app_confbridge.c set_rec_filename).
func confbridgeHarms(data string, _ []string) string {
	if strings.ContainsAny(data, `"\([/`) {
		return "a conference whose name is more than a word, and would name a recording's file"
	}
	return ""
}

// originate looks at what an Originate runs, sets and names.
func (p *Policy) originate(headers []frames.Header) *Refusal {
	const action = "Originate"
	data := Values(headers, "Data")
	known := true
	for _, name := range Values(headers, "Application") {
		// Asterisk finds none whose name ends in a blank. A grant is not that narrow.
		listed, r := p.application(strings.TrimRight(name, " \t"), data)
		if r != nil {
			return r
		}
		known = known && (listed || name == "")
	}
	for _, text := range data {
		if expression := hasExpression(text); expression || !known {
			if r := p.functionsIn(action, text); r != nil {
				return r
			}
			if expression {
				if r := p.wants(action, expressions); r != nil {
					return r
				}
			}
		}
	}
	for _, header := range [...]string{"ChannelId", "OtherChannelId"} {
		for _, id := range Values(headers, header) {
			// A Uniqueid names recordings (app_queue.c setup_mixmonitor), and no dialplan distrusts it.
			if !isPlain(id, "._-:@+") {
				if r := p.wants(action, held{shown: header, what: "a " + header + " that is more than a word, and would name a file"}); r != nil {
					return r
				}
			}
		}
	}
	return p.assigns(action, Values(headers, "Variable"))
}

// application returns whether name is one of applications, and why an Originate
// may not run it with any of data.
func (p *Policy) application(name string, data []string) (listed bool, refused *Refusal) {
	if name == "" {
		return false, nil // Asterisk then goes to Context
	}
	grant := "Originate:" + name
	if r := p.denied(grant); r != nil {
		return false, r
	}
	i := slices.IndexFunc(applications[:], func(a application) bool { return SameName([]byte(name), a.name) })
	if i < 0 {
		if p.lists.Allow.Match(grant) {
			return false, nil
		}
		shown := nameOr(shownApplications, name, "<Application>")
		return false, p.ungranted("Originate:"+shown, "Originate of "+shown+", an application that is not listed as harmless")
	}
	for _, text := range data {
		if harm := applications[i].harms(text); harm != "" && !p.lists.Allow.Match(grant) {
			return true, p.ungranted("Originate:"+applications[i].name, "Originate of "+applications[i].name+" with "+harm)
		}
	}
	return true, nil
}

// harms says what in data is not harmless, or "".
func (a *application) harms(data string) string {
	args, whole := splitArguments(data)
	switch {
	case !whole:
		return openEnd.what
	case a.harmful == nil:
		return playsElse(data, args)
	}
	return a.harmful(data, args)
}
