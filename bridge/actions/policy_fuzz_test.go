package actions

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/name"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/policy/policytest"
	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
)

// lowerASCII is what C's strcasecmp makes of text in Asterisk's locale.
func lowerASCII(text string) string {
	b := []byte(text)
	for i := range b {
		if b[i] >= 'A' && b[i] <= 'Z' {
			b[i] += 'a' - 'A'
		}
	}
	return string(b)
}

// getHeader is astman_get_header: the first of lines that begins with name and a
// colon in any case, without what ast_skip_blanks skips; with skipEmpty the first
// that is not empty, as process_message has it for Action.
func getHeader(lines []string, name string, skipEmpty bool) string {
	for _, line := range lines {
		if len(line) <= len(name) || lowerASCII(line[:len(name)]) != lowerASCII(name) || line[len(name)] != ':' {
			continue
		}
		value := line[len(name)+1:]
		for value != "" && value[0] < 33 {
			value = value[1:]
		}
		if value != "" || !skipEmpty {
			return value
		}
	}
	return ""
}

// assigned are the names that astman_get_variables finds.
func assigned(lines []string) (names []string) {
	for _, line := range lines {
		if len(line) >= 9 && lowerASCII(line[:9]) == "variable:" {
			for _, arg := range appArgs(strings.TrimLeftFunc(line[9:], func(r rune) bool { return r < 33 })) {
				name, _, ok := strings.Cut(arg, "=")
				if ok && name != "" {
					names = append(names, name)
				}
			}
		}
	}
	return names
}

// harmfulName reports whether ast_func_write and ast_func_read take name for a
// function that is not documented as harmless, or it is that of a variable that
// is not.
func harmfulName(name string) bool {
	if strings.HasSuffix(name, ")") {
		function, _, called := strings.Cut(name, "(") // pbx_functions.c func_args
		return called && !slices.Contains(strings.Fields("CALLERID CONNECTEDLINE REDIRECTING CDR CHANNEL TIMEOUT PJSIP_HEADER "+
			"SIP_HEADER HANGUPCAUSE VOLUME DEVICE_STATE EXTENSION_STATE HINT PRESENCE_STATE GROUP GROUP_COUNT QUEUE_MEMBER QUEUE_WAITING_COUNT CONFBRIDGE_INFO"), function)
	}
	// chanvars.c ast_var_name
	name = strings.TrimPrefix(strings.TrimPrefix(name, "_"), "_")
	return strings.HasPrefix(name, "MONITOR_") || strings.HasPrefix(name, "TOUCH_") || name == "MEETME_AGI_BACKGROUND" || name == "MEETME_RECORDINGFILE"
}

var documentedApplications = strings.Fields(`dial queue confbridge meetme bridge bridgewait playback controlplayback background
	wait waitexten waitforsilence musiconhold echo milliwatt answer hangup busy congestion ringing senddtmf playtones pickup noop sayalpha sayalphacase
	saycountedadj saycountednoun saycountpl saydigits saymoney saynumber sayordinal sayphonetic sayunixtime datetime
	park parkedcall pickupchan amd agentlogin agentrequest goto gosub macro stasis`)

var neverByDefault = strings.Fields(`login logoff challenge events filter waitevent command updateconfig createconfig getconfig
	getconfigjson moduleload dialplanextensionadd dialplanextensionremove agi pjsipnotify sipnotify`)

// Whatever a request holds, what Asterisk makes of the bytes is one Action, and
// that which the policy judged; and what it let pass runs nothing that is not
// documented.
func FuzzPolicy(f *testing.F) {
	for _, a := range append(readAttempts(f, "attacks.jsonl"), readAttempts(f, "ordinary.jsonl")...) {
		f.Add(a.Action, string(a.Body), false)
	}
	f.Add("Originate", `{"Variable":["A=\"1","B(\"=FILE(x)=1"],"Application":["","Playback"]}`, true)
	f.Add("Getvar", `{"Variable":"CDR(x)FILE(y)"}`, false)
	f.Add("Originate", `{"CallerID":"x <1> <2","Variable":["A=1,\"CALLERID(num)\"=1","CONNECTEDLINE(all)=\"x\" <1>"]}`, false)
	f.Add("Originate", `{"Variable":"`+strings.Repeat(",", 63)+`CALLERID(num)=1,2"}`, false)
	f.Add("Setvar", `{"Variable":"CALLERID(ani-num)","Value":"1"}`, false)
	f.Add("Ping", `{"Variable:":"x","X":"\u0085"}`, true)
	p := policytest.New(f, "", "", "")
	form := regexp.MustCompile(`\A[A-Za-z0-9_-]{1,64}\z`)
	f.Fuzz(func(t *testing.T, token, body string, latin1 bool) {
		name, err := name.ParseAction(token)
		if (err == nil) != form.MatchString(token) {
			t.Fatalf("%q: %v", token, err)
		}
		charset := frames.UTF8
		if latin1 {
			charset = frames.Latin1
		}
		r, unreadable := parseBody(name, []byte(body))
		if err != nil || unreadable != nil {
			return
		}
		headers, err := r.in(charset)
		if err != nil {
			return
		}
		own := []frames.Header{{Key: []byte("Action"), Value: []byte(name.String())}, {Key: []byte("ActionID"), Value: []byte("b1")}}
		wire, err := frames.AppendAction(nil, append(own, headers...))
		if err != nil {
			return
		}
		messages, whole := messagesOf(wire)
		if len(messages) != 1 || !whole {
			t.Fatalf("Asterisk reads %d messages, all of it: %v", len(messages), whole)
		}
		lines := messages[0]
		action := lowerASCII(getHeader(lines, "Action", true))
		if action != lowerASCII(token) {
			t.Fatalf("%q was judged, Asterisk runs %q", token, action)
		}
		if p.Refuses(name, headers) != nil {
			return
		}
		if slices.Contains(neverByDefault, action) {
			t.Fatalf("%q passes", token)
		}
		checkRuns(t, action, lines)
		checkNumbers(t, action, lines)
	})
}

// checkRuns wants nothing that is not documented in an Action that passed.
func checkRuns(t *testing.T, action string, lines []string) {
	t.Helper()
	var names []string
	switch action {
	case "originate":
		names = assigned(lines)
		for _, line := range lines {
			if strings.Contains(strings.Join(appArgs(line), ","), "^{") {
				t.Fatalf("what Queue evaluates passes: %q", line)
			}
		}
		application, data := lowerASCII(getHeader(lines, "Application", false)), getHeader(lines, "Data", false)
		if application == "" {
			break
		}
		if !slices.Contains(documentedApplications, application) {
			t.Fatalf("runs %q", application)
		}
		if strings.Contains(data, "${") || strings.Contains(data, "$[") || strings.Contains(data, "^{") {
			t.Fatalf("%s with %q", application, data)
		}
		if args := appArgs(data); application == "queue" && len(args) > 5 && args[5] != "" {
			t.Fatalf("queue runs the AGI %q", args[5])
		}
	case "getvar", "setvar":
		names = []string{getHeader(lines, "Variable", false)}
	case "status":
		names = appArgs(getHeader(lines, "Variables", false))
	}
	for _, name := range names {
		if harmfulName(name) {
			t.Fatalf("%s with %q", action, name)
		}
	}
}
