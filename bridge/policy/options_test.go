package policy

import (
	"slices"
	"testing"
)

// parsedOptions are the letters that app.c parse_options sets.
func parsedOptions(s string) (letters []byte) {
	for i := 0; i < len(s); {
		letters = append(letters, s[i]&0x7f)
		i++
		if i == len(s) || s[i] != '(' {
			continue
		}
		quotes, quoted, parens := i+1 < len(s) && s[i+1] == '"', false, 1
		for i++; i < len(s); i++ {
			switch {
			case s[i] == '(' && !quoted:
				parens++
			case s[i] == ')' && !quoted:
				parens--
			case s[i] == '"' && quotes:
				quoted = !quoted
			case s[i] == '\\' && (!quoted || i+1 < len(s) && s[i+1] == '"'):
				i++ // it takes out the backslash, and the loop steps over what moved to its place
			case s[i] == '\\':
				i++
			}
			if parens == 0 {
				break
			}
		}
		if i >= len(s) {
			break
		}
		i++
	}
	return letters
}

// An option that Asterisk finds is found, whatever its brackets.
func FuzzHasOption(f *testing.F) {
	for _, s := range []string{"gU(x)L(60000)", "p", "(p)", "x(a)(p)", `x("a)"p`, `x(\)p`, "((x)p", "a)(p)", "x(p", "M(x)(r)", `x("\")p")p`, "\xf0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if slices.Contains(parsedOptions(s), 'p') && !hasOption(s, "p") {
			t.Errorf("%q has option p", s)
		}
	})
}

func TestHasOption_IsNotMisledByBrackets(t *testing.T) {
	for options, want := range map[string]bool{
		"": false, "tTgU(sub^P)L(60000:p)": false, "m(pop)r": false, "M((p))x": false,
		"p": true, "gP(x)": true, "gU(x)p": true, "gU(x)(p)": true, "(p)": true, "x(p": true, `x("a")p`: true, `x("p)r`: true, `x(\p)r`: true,
	} {
		if got := hasOption(options, "pP"); got != want {
			t.Errorf("%q has option p: %v, want %v", options, got, want)
		}
	}
}
