package policy

import (
	"regexp"
	"slices"
	"strings"
)

// functions are those that a variable's name may hold, and that may be asked
// for, without a grant. Asterisk does not ignore the case of a function's name
// (pbx_functions.c ast_custom_function_find).
var functions = [...]string{"CALLERID", "CONNECTEDLINE", "REDIRECTING", "CDR", "CHANNEL", "TIMEOUT", "PJSIP_HEADER"}

// variables are beginnings of names that Asterisk itself reads for a command, an
// AGI or the name of a file. asking: they may be asked for.
var variables = [...]struct {
	begin  string
	asking bool
}{
	{"MONITOR_", false},         // app_queue.c setup_mixmonitor, res_monitor.c ast_monitor_stop: command, file
	{"TOUCH_", false},           // bridge_builtin_features.c feature_automixmonitor: file, format
	{"MEETME_AGI_", false},      // app_meetme.c conf_run: AGI
	{"MEETME_RECORDING", false}, // app_meetme.c conf_run: file, format
	{"AUTO_MONITOR", false},     // features.c ast_bridge_call (1.8): arguments of Monitor
	{"MVM_", true},              // app_minivm.c: the file that is mailed, or deleted
	{"MIXMONITOR_", true},       // set by app_mixmonitor.c, and trusted by dialplans that move the file
}

// Beginnings of functions that one grant is for, as it always was:
// Originate:ODBC grants ODBC_NUMBERS.
var families = [...]string{"SHELL", "EVAL", "CURL", "FILE", "DB", "ODBC", "REALTIME"}

// What a refusal calls by name. Others are text of the request.
var (
	shownFunctions = [...]string{
		"ENV", "AST_CONFIG", "AST_SORCERY", "VM_INFO", "CONFBRIDGE", "GLOBAL", "SHARED", "SET", "ARRAY", "HASH", "LOCAL",
		"MASTER_CHANNEL", "IMPORT", "STAT", "SYSINFO", "PERIODIC_HOOK", "FAXOPT", "SPRINTF", "STRREPLACE", "PUSH", "UNSHIFT",
		"SIPPEER", "SIP_HEADER", "PJSIP_ENDPOINT", "PJSIP_AOR", "PJSIP_CONTACT", "MEETME_INFO", "QUEUE_MEMBER", "GROUP",
	}
	shownApplications = [...]string{
		"System", "TrySystem", "AGI", "EAGI", "DeadAGI", "ExternalIVR", "Exec", "TryExec", "ExecIf", "ExecIfTime", "Originate",
		"Reload", "DBdeltree", "MixMonitor", "Monitor", "Record", "ChanSpy", "ExtenSpy", "Page", "AudioSocket", "SendFAX",
		"ReceiveFAX", "VoiceMail", "VoiceMailMain", "MinivmNotify", "DISA", "MP3Player", "Set", "MSet", "Read", "Directory",
		"SMS", "Festival", "ICES", "NBScat", "JabberSend", "RetryDial", "FollowMe", "UserEvent", "Log", "DumpChan",
	}
	shownVariables = [...]string{
		"MONITOR_EXEC", "MONITOR_EXEC_ARGS", "MONITOR_FILENAME", "MONITOR_OPTIONS", "TOUCH_MONITOR", "TOUCH_MIXMONITOR",
		"MEETME_AGI_BACKGROUND", "MEETME_RECORDINGFILE", "MEETME_RECORDINGFORMAT", "MIXMONITOR_FILENAME", "MVM_FILENAME",
	}
)

// nameOr returns that of names which is name but for case, or otherwise.
func nameOr(names []string, name, otherwise string) string {
	if known := findName(names, name); known != "" {
		return known
	}
	return otherwise
}

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
		for i := range assignments {
			assignments[i], _, _ = strings.Cut(assignments[i], "=")
		}
		if r := p.names(action, assignments, true); r != nil {
			return r
		}
	}
	return nil
}

// names looks at names of variables, to which action assigns or for which it
// asks. Values are not evaluated.
func (p *Policy) names(action string, names []string, assigns bool) *Refusal {
	for _, name := range names {
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
		if r := p.variable(action, name, assigns); r != nil {
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
	h := held{shown: nameOr(shownFunctions[:], name, "<FUNCTION>"), names: []string{name}}
	for _, family := range families {
		if len(name) >= len(family) && strings.EqualFold(name[:len(family)], family) {
			h.shown, h.names = family, append(h.names, family)
			break
		}
	}
	h.what = "the function " + h.shown + ", which is not listed as harmless"
	return p.wants(action, h)
}

// variable looks at the variable called name. One or two _ in front say who
// inherits it (chanvars.c ast_var_name).
func (p *Policy) variable(action, name string, assigns bool) *Refusal {
	name = strings.TrimLeft(name, "_ \t")
	for i := range variables {
		v := &variables[i]
		if len(name) < len(v.begin) || !strings.EqualFold(name[:len(v.begin)], v.begin) || v.asking && !assigns {
			continue
		}
		shown := nameOr(shownVariables[:], name, v.begin+"*")
		return p.wants(action, held{shown: shown, names: []string{name}, what: "the variable " + shown + ", which names a command or a file"})
	}
	return nil
}

// inData finds what reads like a function or one of variables in Data of an
// application that is granted, or that holds an expression. Brackets behind
// option letters, such as gU(x), are no functions: those have three capitals or
// more, or are of a family.
var inData = regexp.MustCompile(`((?i:SHELL|EVAL|CURL|FILE|DB|ODBC|REALTIME)[A-Za-z0-9_]*|[A-Z][A-Z0-9_]{2,})\s*\(|` +
	`((?i:MONITOR_|TOUCH_|MEETME_AGI_|MEETME_RECORDING|MVM_)[A-Za-z0-9_]*)`)

// argumentQuotes are what Asterisk drops from arguments.
var argumentQuotes = strings.NewReplacer(`\`, "", `"`, "")

// functionsIn looks for functions and variables in Data.
func (p *Policy) functionsIn(action, data string) *Refusal {
	for _, match := range inData.FindAllStringSubmatch(argumentQuotes.Replace(data), -1) {
		refused := p.variable(action, match[2], true)
		if match[1] != "" {
			refused = p.function(action, match[1])
		}
		if refused != nil {
			return refused
		}
	}
	return nil
}
