package actions

import (
	"strings"
	"testing"
)

// maxVars is how many variables man_do_variable_value has room for: the last one
// gets the rest as it is.
const maxVars = 64

// assignments are what astman_get_variables makes of Variable headers, and Setvar of
// its two.
func assignments(action string, lines []string) (all [][2]string) {
	if action == "setvar" {
		return [][2]string{{getHeader(lines, "Variable", false), getHeader(lines, "Value", false)}}
	}
	for _, line := range lines {
		if len(line) < 9 || lowerASCII(line[:9]) != "variable:" {
			continue
		}
		rest := strings.TrimLeftFunc(line[9:], func(r rune) bool { return r < 33 })
		args := appArgs(rest)
		if len(args) >= maxVars {
			args = append(args[:maxVars-1], lastOf(rest, maxVars-1))
		}
		for _, arg := range args {
			if name, value, ok := strings.Cut(arg, "="); ok && name != "" {
				all = append(all, [2]string{name, value})
			}
		}
	}
	return all
}

// lastOf is what is behind the n-th comma at which appArgs splits.
func lastOf(text string, n int) string {
	for i := range text {
		if text[i] == ',' && len(appArgs(text[:i]+",")) == n+1 {
			return text[i+1:]
		}
	}
	return ""
}

// setNumber is the number that an assignment gives a party (func_callerid.c), "" for
// none.
func setNumber(name, value string) string {
	function, rest, called := strings.Cut(strings.TrimSuffix(name, ")"), "(")
	if !called || !strings.HasSuffix(name, ")") || function != "CALLERID" && function != "CONNECTEDLINE" {
		return ""
	}
	members := strings.Split(lowerASCII(appArgs(rest)[0]), "-")
	if function == "CALLERID" && (members[0] == "ani" || members[0] == "priv" || members[0] == "dnid") {
		members = append(members[1:], "num")
	}
	switch {
	case strings.HasPrefix(members[0], "num"), members[0] == "rdnis":
		return value
	case members[0] == "all":
		return location(value)
	}
	return ""
}

// location is what ast_callerid_parse takes for a number that is not one of a
// telephone.
func location(caller string) string {
	at := strings.LastIndexByte(caller, '<')
	if at < 0 {
		return ""
	}
	number, _, _ := strings.Cut(caller[at+1:], ">")
	return number
}

// checkNumbers wants no number, and no channel, that would be a command in the name of
// a recording.
func checkNumbers(t *testing.T, action string, lines []string) {
	t.Helper()
	var numbers []string
	if action == "originate" {
		caller := getHeader(lines, "CallerID", false)
		numbers = append(numbers, location(caller[:min(len(caller), 255)]), getHeader(lines, "Channel", false))
	}
	if action == "originate" || action == "setvar" {
		for _, a := range assignments(action, lines) {
			numbers = append(numbers, setNumber(a[0], a[1]))
		}
	}
	for _, number := range numbers {
		if strings.ContainsAny(number, ",\"`$\\") {
			t.Fatalf("%s has the number, or the channel, %q", action, number)
		}
	}
}
