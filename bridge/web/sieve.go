package web

import (
	"fmt"
	"path"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/catalog"
)

// longestGrep bounds a regular expression, of which repetitions are written out.
const longestGrep = 500

// sieve is which events a page shows, as tail's arguments say it.
type sieve struct {
	patterns []string
	grep     *regexp.Regexp
}

// newSieve reads what somebody has asked for; the error says what is wrong with it.
func newSieve(events, grep string) (f sieve, err error) {
	f.patterns = strings.FieldsFunc(events, func(r rune) bool { return r == ',' || r == '|' || r == ' ' })
	for _, p := range f.patterns {
		if _, err := path.Match(p, ""); err != nil {
			return f, fmt.Errorf("%.80q is not a pattern of names: * ? and [a-z]", p)
		}
	}
	if grep != "" {
		if f.grep, err = regexp.Compile(grep); err != nil {
			return f, fmt.Errorf("%.80q is not a regular expression (RE2)", grep)
		}
		if instructions(grep) > longestGrep {
			return f, fmt.Errorf("%.80q takes too long to look for: repeat less in it", grep)
		}
	}
	return f, nil
}

// instructions is how many a regular expression has; each byte of a text may take all of them.
func instructions(grep string) int {
	parsed, err := syntax.Parse(grep, syntax.Perl)
	if err != nil {
		return 0
	}
	program, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return 0
	}
	return len(program.Inst)
}

// notes say what of f matches nothing that Asterisk sends.
func (f *sieve) notes() string { return strings.Join(catalog.UnknownEvents(f.patterns), "; ") }

// names reports whether an event of that name is wanted. A Gap always is: a hole is seen
// whatever is looked for.
func (f *sieve) names(event string) bool {
	return len(f.patterns) == 0 || event == "Gap" || slices.ContainsFunc(f.patterns, func(p string) bool { ok, _ := path.Match(p, event); return ok })
}
