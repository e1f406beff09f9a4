package policy

import (
	"bytes"
	"strings"

	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
)

// Values returns the values of every header called name, as Asterisk reads
// them: without leading blanks (manager.c astman_get_header).
func Values(headers []frames.Header, name string) []string {
	var all []string
	for i := range headers {
		if SameName(headers[i].Key, name) {
			all = append(all, string(skipBlanks(headers[i].Value)))
		}
	}
	return all
}

// skipBlanks is Asterisk's ast_skip_blanks: control characters are blanks.
func skipBlanks(value []byte) []byte {
	return bytes.TrimLeftFunc(value, func(r rune) bool { return r <= ' ' })
}

// SameName reports whether a header is called name, as Asterisk compares:
// ignoring the case of ASCII letters only. A name of the same length in bytes
// has no room for the letters beyond ASCII that EqualFold takes for s and k.
func SameName(key []byte, name string) bool {
	return len(key) == len(name) && strings.EqualFold(string(key), name)
}

// splitArguments splits text at commas and takes out quotes and backslashes, as
// AST_STANDARD_APP_ARGS does in every Asterisk from 1.8 on (app.c
// __ast_app_separate_args). It is false if text ends with a lone backslash:
// Asterisk then reads on behind the end of it.
func splitArguments(text string) (args []string, whole bool) {
	if !strings.ContainsAny(text, `\"([`) { // the rule, at no cost
		return strings.Split(text, ","), true
	}
	var arg []byte
	parens, brackets, quoted := 0, 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '(':
			parens++
		case c == ')':
			parens = max(0, parens-1)
		case c == '[':
			brackets++
		case c == ']':
			brackets = max(0, brackets-1)
		case c == '"':
			quoted = !quoted
			continue
		case c == '\\':
			if i++; i == len(text) {
				return append(args, string(arg)), false
			}
		case c == ',' && parens == 0 && brackets == 0 && !quoted:
			args, arg = append(args, string(arg)), nil
			continue
		}
		arg = append(arg, text[i])
	}
	return append(args, string(arg)), true
}

// argument returns the n-th of args, from 0 on, or "".
func argument(args []string, n int) string {
	if n < len(args) {
		return args[n]
	}
	return ""
}

// hasOption reports whether options, an argument such as gU(x)L(60000), has one
// of letters: what stands in brackets behind a letter is no option, and of a
// letter seven bits count (app.c parse_options). Where the end of brackets could
// be read in two ways each character counts.
func hasOption(options, letters string) bool {
	ambiguous := strings.ContainsAny(options, `\"`)
	depth, found := 0, false
	for i := range len(options) {
		switch c := options[i]; {
		case strings.IndexByte(letters, c&0x7f) >= 0:
			if depth == 0 || ambiguous {
				return true
			}
			found = true // an option if the brackets stay open
		case c == '(' && (depth > 0 || i > 0 && options[i-1] != ')'):
			depth++
		case c == ')' && depth > 0:
			depth--
		}
	}
	return found && depth > 0
}
