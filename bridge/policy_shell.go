package bridge

import (
	"bytes"
	"regexp"
	"strings"

	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
)

// shellApplications are those that an Originate may not run for a user without
// write=system (manager.c action_originate), found as Asterisk does: by a part
// of the name, whatever the case. Those with commas do harm only when Data has
// so many: MixMonitor's third argument is a command, Queue's sixth an AGI.
// Commas inside quotes count too, which errs on the safe side.
var shellApplications = [...]struct {
	part   string
	commas int
}{
	{"agi", 0}, {"dbdeltree", 0}, {"exec", 0}, {"externalivr", 0}, {"originate", 0}, {"reload", 0}, {"system", 0},
	{"mixmonitor", 2}, {"queue", 5},
}

// Functions of the dialplan that reach the shell, files or the network, and
// MONITOR_EXEC, a variable that Monitor and Queue run as a command. Those of an
// Originate are what manager.c looks for. The beginning of a name is enough
// (ODBC_…, CURLOPT), and so is any case.
var (
	shellFunctions     = regexp.MustCompile(`(?i)(SHELL|EVAL|CURL|FILE)[A-Z0-9_]*\s*\(|(MONITOR_EXEC)`)
	originateFunctions = regexp.MustCompile(`(?i)(SHELL|EVAL|CURL|FILE|DB|ODBC|REALTIME)[A-Z0-9_]*\s*\(|(MONITOR_EXEC)`)
)

// reachesShell returns a refusal if an Action holds something that reaches the
// shell, files or the network and ACTIONS_ALLOW does not match
// <Action>:<what>. Every header of a name is looked at, whichever Asterisk
// takes.
func (p *policy) reachesShell(action string, headers []frames.Header) *forbidden {
	switch {
	case strings.EqualFold(action, "Originate"):
		return p.originate(headers)
	case strings.EqualFold(action, "MixMonitor"):
		return p.mixMonitor(headers)
	case strings.EqualFold(action, "Getvar"):
		return p.functions("Getvar", shellFunctions, values(headers, "Variable"))
	case strings.EqualFold(action, "Setvar"):
		return p.functions("Setvar", shellFunctions, values(headers, "Variable"))
	case strings.EqualFold(action, "Status"):
		return p.functions("Status", shellFunctions, values(headers, "Variables"))
	}
	return nil
}

func (p *policy) originate(headers []frames.Header) *forbidden {
	data := values(headers, "Data")
	commas := 0
	for _, d := range data {
		commas = max(commas, strings.Count(d, ","))
	}
	for _, application := range values(headers, "Application") {
		name := "Originate:" + strings.TrimRight(application, " \t")
		if r := p.denied(name); r != nil {
			return r
		}
		for _, a := range shellApplications {
			if commas < a.commas || !strings.Contains(strings.ToLower(application), a.part) || p.allow.Match(name) {
				continue
			}
			return &forbidden{
				"default Originate:*" + a.part + "*",
				"Originate with an application *" + a.part + "*, which may reach the shell, is refused by default: " +
					p.names.allow + "=Originate:<Application> grants it",
			}
		}
	}
	if r := p.functions("Originate", originateFunctions, data); r != nil {
		return r
	}
	return p.functions("Originate", originateFunctions, variableNames(values(headers, "Variable")))
}

// mixMonitor wants no Command. Asterisk joins File, Options and Command with
// commas and takes them apart again (app_mixmonitor.c manager_mixmonitor), so a
// comma in the first two makes a command as well.
func (p *policy) mixMonitor(headers []frames.Header) *forbidden {
	command := strings.Join(values(headers, "Command"), "")
	paths := strings.Join(append(values(headers, "File"), values(headers, "Options")...), "")
	if command == "" && !strings.Contains(paths, ",") {
		return nil
	}
	return p.wantsGrant("MixMonitor", "Command", "a command for the shell")
}

// argumentQuotes are what Asterisk drops from arguments.
var argumentQuotes = strings.NewReplacer(`\`, "", `"`, "")

// functions looks for functions in texts, through quotes and backslashes. An
// expression may make up any name, ${${A}${B}(id)}, so it counts as EVAL.
func (p *policy) functions(action string, listed *regexp.Regexp, texts []string) *forbidden {
	for _, text := range texts {
		text = argumentQuotes.Replace(text)
		for _, match := range listed.FindAllStringSubmatch(text, -1) {
			name := strings.ToUpper(match[1] + match[2])
			if r := p.wantsGrant(action, name, name); r != nil {
				return r
			}
		}
		if strings.Contains(text, "${") || strings.Contains(text, "$[") {
			if r := p.wantsGrant(action, "EVAL", "an expression"); r != nil {
				return r
			}
		}
	}
	return nil
}

// wantsGrant refuses what, which action holds, unless it is granted by name.
func (p *policy) wantsGrant(action, name, what string) *forbidden {
	grant := action + ":" + name
	if r := p.denied(grant); r != nil {
		return r
	}
	if p.allow.Match(grant) {
		return nil
	}
	return &forbidden{
		"default " + grant,
		action + " with " + what + ", which may reach the shell, is refused by default: " + p.names.allow + "=" + grant + " grants it",
	}
}

// variableNames returns the names that Variable headers assign to. Asterisk
// splits a header at commas (manager.c astman_get_variables), not at those in
// quotes or behind a backslash: those are taken for names too, to be safe. The
// values are not evaluated.
func variableNames(headers []string) []string {
	var names []string
	for _, h := range headers {
		for assignment := range strings.SplitSeq(h, ",") {
			name, _, _ := strings.Cut(assignment, "=")
			names = append(names, name)
		}
	}
	return names
}

// values returns the values of every header called name, as Asterisk reads
// them: without leading blanks (manager.c astman_get_header).
func values(headers []frames.Header, name string) []string {
	var all []string
	for i := range headers {
		if sameName(headers[i].Key, name) {
			all = append(all, string(skipBlanks(headers[i].Value)))
		}
	}
	return all
}

// skipBlanks is Asterisk's ast_skip_blanks: control characters are blanks.
func skipBlanks(value []byte) []byte {
	return bytes.TrimLeftFunc(value, func(r rune) bool { return r <= ' ' })
}

// sameName reports whether a header is called name, as Asterisk compares:
// ignoring the case of ASCII letters only. A name of the same length in bytes
// has no room for the letters beyond ASCII that EqualFold takes for s and k.
func sameName(key []byte, name string) bool {
	return len(key) == len(name) && strings.EqualFold(string(key), name)
}
