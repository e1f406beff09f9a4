package policy

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
)

// functions are those that a variable's name may hold, and that may be asked
// for, without a grant. Asterisk does not ignore the case of a function's name
// (pbx_functions.c ast_custom_function_find).
var functions = [...]string{
	"CALLERID", "CONNECTEDLINE", "REDIRECTING", "CDR", "CHANNEL", "TIMEOUT", "PJSIP_HEADER", "SIP_HEADER", "HANGUPCAUSE", "VOLUME",
	"DEVICE_STATE", "EXTENSION_STATE", "HINT", "PRESENCE_STATE", "GROUP", "GROUP_COUNT", "QUEUE_MEMBER", "QUEUE_WAITING_COUNT", "CONFBRIDGE_INFO",
}

// variables are beginnings of names that Asterisk itself reads for a command, an
// AGI or the name of a file. asking: they may be asked for. harmful says which
// values are; nil: all.
var variables = [...]struct {
	begin   string
	asking  bool
	harmful func(value string) bool
}{
	{"MONITOR_", false, nil},         // app_queue.c setup_mixmonitor, res_monitor.c ast_monitor_stop: command, file
	{"TOUCH_", false, nil},           // bridge_builtin_features.c feature_automixmonitor: file, format
	{"MEETME_AGI_", false, nil},      // app_meetme.c conf_run: AGI
	{"MEETME_RECORDING", false, nil}, // app_meetme.c conf_run: file, format
	{"AUTO_MONITOR", false, nil},     // features.c ast_bridge_call (1.8): arguments of Monitor
	{"MVM_", true, nil},              // app_minivm.c: the file that is mailed, or deleted
	{"MIXMONITOR_", true, nil},       // set by app_mixmonitor.c, and trusted by dialplans that move the file

	{"BRIDGE_FEATURES", true, hasAny(recordingOptions)}, // features.c set_bridge_features_on_config: as Dial's options
	// What else has a telephone record, or be heard, without the dialplan's leave.
	{"DYNAMIC_FEATURES", true, nil},        // features.c ast_get_chan_applicationmap: features that run applications
	{"DUNDIDIALARGS", true, nil},           // pbx_dundi.c dundi_exec: options of Dial
	{"DIALSTATUS", true, nil},              // chan_iax2.c iax2_exec: the application to run
	{"SPYGROUP", true, nil},                // app_chanspy.c common_exec: whose calls may be heard
	{"TRANSFER_EXTEN", true, namesCommand}, // bridge_basic.c grab_transfer: names a Local channel
	// A parked call goes to an extension that is made of them: see comesBack.
	{"BLINDTRANSFER", true, dialsHarm},
	{"ATTENDEDTRANSFER", true, dialsHarm},
	{"PARKINGDYN", true, nil}, // res_parking.c create_dynamic_lot: extensions, contexts
	// Asterisk goes there by itself (features.c check_goto_on_transfer, channel.c ast_channel_connected_line_sub).
	{"GOTO_ON_BLINDXFR", true, hasAny(inShell)},
	{"CONNECTED_LINE_", true, leadsToCommand},
	{"REDIRECTING_", true, leadsToCommand},
	// Sounds.
	{"BRIDGE_PLAY_SOUND", true, leavesSounds},                // features.c ast_bridge_call_with_flags
	{"LIMIT_", true, leavesSounds},                           // app_dial.c, features.c ast_bridge_timelimit
	{"CONF_LIMIT_", true, leavesSounds},                      // app_meetme.c conf_run
	{"CONFBRIDGE_", true, leavesSounds},                      // app_confbridge.c (1.8)
	{"ATTENDED_TRANSFER_COMPLETE_SOUND", true, leavesSounds}, // features.c (1.8)
	{"CALLWAITDELUXEANNOUNCEMENT", true, leavesSounds},       // sig_analog.c
	{"AGENTGOODBYE", true, leavesSounds},                     // chan_agent.c (to 11)
}

// Beginnings of functions that one grant is for, as it always was:
// Originate:ODBC grants ODBC_NUMBERS.
var families = [...]string{"SHELL", "EVAL", "CURL", "FILE", "DB", "ODBC", "REALTIME"}

// shownVariables are what a refusal calls by name. Others are text of the request.
var shownVariables = [...]string{
	"MONITOR_EXEC", "MONITOR_EXEC_ARGS", "MONITOR_FILENAME", "MONITOR_OPTIONS", "TOUCH_MONITOR", "TOUCH_MIXMONITOR",
	"MEETME_AGI_BACKGROUND", "MEETME_RECORDINGFILE", "MEETME_RECORDINGFORMAT", "MIXMONITOR_FILENAME", "MVM_FILENAME",
	"DYNAMIC_FEATURES", "DUNDIDIALARGS", "DIALSTATUS", "SPYGROUP", "TRANSFER_EXTEN", "BLINDTRANSFER", "ATTENDEDTRANSFER",
	"GOTO_ON_BLINDXFR", "BRIDGE_FEATURES", "BRIDGE_PLAY_SOUND", "AGENTGOODBYE", "LIMIT_CONNECT_FILE", "LIMIT_TIMEOUT_FILE", "LIMIT_WARNING_FILE",
}

// nameOr returns that of names which is name but for case, or otherwise.
func nameOr(names []string, name, otherwise string) string {
	if known := findName(names, name); known != "" {
		return known
	}
	return otherwise
}

// maxAssignments is the assignment of one header that Asterisk does not split off
// what is behind it, nor takes quotes and backslashes out of (manager.c
// man_do_variable_value).
const maxAssignments = 64

var unsplit = held{shown: "EVAL", what: "64 variables or more in one header, of which Asterisk takes the last ones for one"}

// assigns looks at Variable headers, each of which assigns to one variable or
// several (manager.c astman_get_variables).
func (p *Policy) assigns(action string, headers []string) *Refusal {
	for _, header := range headers {
		assignments, whole := splitArguments(header)
		if !whole {
			if r := p.wants(action, openEnd); r != nil {
				return r
			}
		}
		if len(assignments) >= maxAssignments {
			if r := p.wants(action, unsplit); r != nil {
				return r
			}
		}
		for _, assignment := range assignments {
			name, value, _ := strings.Cut(assignment, "=")
			if r := p.assign(action, name, value); r != nil {
				return r
			}
		}
	}
	return nil
}

// assign looks at an assignment. value is not evaluated.
func (p *Policy) assign(action, name, value string) *Refusal {
	if r := p.functions(action, name); r != nil {
		return r
	}
	if r := p.toFunction(action, name, value); r != nil {
		return r
	}
	return p.variable(action, name, value, true)
}

// functions looks at the functions that a variable's name holds.
func (p *Policy) functions(action, name string) *Refusal {
	if hasExpression(name) {
		if r := p.wants(action, expressions); r != nil {
			return r
		}
	}
	before, rest, called := strings.Cut(name, "(")
	for before = strings.TrimSpace(before); called; before, rest, called = strings.Cut(rest, "(") {
		if r := p.function(action, before); r != nil {
			return r
		}
	}
	return nil
}

// function looks at the function called name.
func (p *Policy) function(action, name string) *Refusal {
	if slices.Contains(functions[:], name) {
		return p.denied(action + ":" + name)
	}
	h := held{shown: nameOr(shownFunctions, name, "<FUNCTION>"), names: []string{name}}
	for _, family := range families {
		if len(name) >= len(family) && strings.EqualFold(name[:len(family)], family) {
			h.shown, h.names = family, append(h.names, family)
			break
		}
	}
	h.what = "the function " + h.shown + ", which is not listed as harmless"
	return p.wants(action, h)
}

// variable looks at the variable called name, to which value is assigned if it
// assigns. One or two _ in front say who inherits it (chanvars.c ast_var_name).
func (p *Policy) variable(action, name, value string, assigns bool) *Refusal {
	name = strings.TrimLeft(name, "_ \t")
	for i := range variables {
		v := &variables[i]
		if len(name) < len(v.begin) || !strings.EqualFold(name[:len(v.begin)], v.begin) || v.asking && !assigns ||
			v.harmful != nil && !v.harmful(value) {
			continue
		}
		shown := nameOr(shownVariables[:], name, v.begin+"*")
		return p.wants(action, held{shown: shown, names: []string{name}, what: "the variable " + shown + ", which Asterisk makes a command, a file or an extension of"})
	}
	return nil
}

// inData finds what reads like a function or one of variables in Data of an
// application that is granted, or that holds an expression. Brackets behind
// option letters, such as gU(x), are no functions: those have three capitals or
// more, or are of a family.
var inData = regexp.MustCompile(`((?i:` + strings.Join(families[:], "|") + `)[A-Za-z0-9_]*|[A-Z][A-Z0-9_]{2,})\s*\(|` +
	`((?i:` + strings.Join(variableBegins(), "|") + `)[A-Za-z0-9_]*)`)

func variableBegins() (all []string) {
	for i := range variables {
		all = append(all, variables[i].begin)
	}
	return all
}

// argumentQuotes are what Asterisk drops from arguments.
var argumentQuotes = strings.NewReplacer(`\`, "", `"`, "")

// functionsIn looks for functions and variables in Data.
func (p *Policy) functionsIn(action, data string) *Refusal {
	data = argumentQuotes.Replace(data)
	for _, match := range inData.FindAllStringSubmatchIndex(data, -1) {
		assigned, value, _ := strings.Cut(data[match[0]:], "=")
		var refused *Refusal
		if match[2] >= 0 {
			refused = cmp.Or(p.function(action, data[match[2]:match[3]]), p.toFunction(action, assigned, value))
		} else {
			refused = p.variable(action, data[match[4]:match[5]], value, true)
		}
		if refused != nil {
			return refused
		}
	}
	return nil
}
