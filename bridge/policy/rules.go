package policy

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/setting"
	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
)

// Rules are what Actions' headers must be, in the order written:
//
//	rules = rule *( ";" rule )
//	rule  = action ":" header test            ; action is a glob
//	test  = "absent" / ["absent or" / "not"] ( "in" "(" word *( "," word ) ")" / "matches" word )
//	word  = bare text / quoted text           ; "" is a quote inside quotes
//
// All rules of an Action must hold, each for every header of its name. Where
// there is none, in and matches fail. A match is RE2 and not anchored.
type Rules []rule

type rule struct {
	text    string // as written
	action  setting.Globs
	header  string
	missing bool // holds where there is no such header
	not     bool
	in      []string
	matches *regexp.Regexp // in place of in
}

// Decode reads rules; it reports every bad one.
func (r *Rules) Decode(text string) error {
	parts, closed := splitUnquoted(text, ';')
	if !closed {
		return errors.New(`a quote " is not closed`)
	}
	list := Rules{}
	var problems []string
	for _, part := range parts {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		one, err := parseRule(part)
		if err != nil {
			problems = append(problems, fmt.Sprintf("rule %.100q %v", part, err))
		}
		list = append(list, one)
	}
	if len(problems) > 0 {
		return errors.New(strings.Join(problems, "; "))
	}
	*r = list
	return nil
}

// String returns the rules as written.
func (r Rules) String() string {
	texts := make([]string, len(r))
	for i := range r {
		texts[i] = r[i].text
	}
	return strings.Join(texts, "; ")
}

var ruleForm = regexp.MustCompile(`(?s)^([^\s:"]+)\s*:\s*([A-Za-z0-9_-]+)\s+` +
	`(?:absent|(absent\s+or\s|not\s)?\s*(?:in\s*\((.*)\)|matches\s+(.+)))$`)

const wantsRule = "wants <Action>: <Header> followed by in (a, b), not in (a, b), matches RE, not matches RE, " +
	"absent, absent or in (a, b), or absent or matches RE"

func parseRule(text string) (rule, error) {
	m := ruleForm.FindStringSubmatch(text)
	if m == nil {
		return rule{}, errors.New(wantsRule)
	}
	if _, err := path.Match(m[1], ""); err != nil {
		return rule{}, errors.New("wants an action or a pattern such as Queue*")
	}
	r := rule{text: text, action: setting.Globs{m[1]}, header: m[2], not: strings.HasPrefix(m[3], "not")}
	r.missing = m[3] != "" || m[4]+m[5] == "" // not, absent or; absent is a list of nothing
	var err error
	switch {
	case m[5] != "":
		var expression string
		if expression, err = parseWord(m[5], ""); err == nil {
			r.matches, err = regexp.Compile(expression)
		}
		if err != nil {
			err = errors.New("wants a regular expression (RE2); one that holds ; or a quote stands in quotes")
		}
	case m[4] != "":
		r.in, err = parseWords(m[4])
	case strings.HasSuffix(text, ")"):
		err = errors.New("wants one value or more between ( and )")
	}
	return r, err
}

func parseWords(text string) ([]string, error) {
	parts, _ := splitUnquoted(text, ',') // Decode has seen that quotes are closed
	words := make([]string, len(parts))
	for i, part := range parts {
		word, err := parseWord(part, "()")
		if err != nil {
			return nil, errors.New("wants values such as in (a, \"b, c\")")
		}
		words[i] = word
	}
	return words, nil
}

// parseWord reads a bare or quoted word; a bare one has neither quotes nor any
// of without.
func parseWord(text, without string) (string, error) {
	text = strings.TrimSpace(text)
	inner, quoted := strings.CutPrefix(text, `"`)
	if !quoted {
		if text == "" || strings.ContainsAny(text, `"`+without) {
			return "", errors.New("wants quotes")
		}
		return text, nil
	}
	inner, closed := strings.CutSuffix(inner, `"`)
	if !closed || strings.Contains(strings.ReplaceAll(inner, `""`, ""), `"`) {
		return "", errors.New("wants one quoted text")
	}
	return strings.ReplaceAll(inner, `""`, `"`), nil
}

// splitUnquoted splits text at each sep outside quotes. It is false if a quote
// stays open.
func splitUnquoted(text string, sep byte) ([]string, bool) {
	var parts []string
	start, quoted := 0, false
	for i := range len(text) {
		switch {
		case text[i] == '"':
			quoted = !quoted
		case text[i] == sep && !quoted:
			parts = append(parts, text[start:i])
			start = i + 1
		}
	}
	return append(parts, text[start:]), !quoted
}

// refuses returns a refusal if r is about action and does not hold; its reason
// is to be continued with what refuses.
func (r *rule) refuses(action string, headers []frames.Header, charset frames.Charset) *Refusal {
	if !r.action.Match(action) {
		return nil
	}
	name := "ACTIONS_RULES: " + r.text
	all := Values(headers, r.header)
	for _, value := range all {
		if !r.holds(decode(charset, value)) {
			return &Refusal{name, "the request's " + r.header + " is"}
		}
	}
	if len(all) == 0 && !r.missing {
		return &Refusal{name, "the request has no " + r.header + ":"}
	}
	return nil
}

func (r *rule) holds(value string) bool {
	if r.matches != nil {
		return r.matches.MatchString(value) != r.not
	}
	return slices.Contains(r.in, value) != r.not
}

// decode returns the text of a value on the wire.
func decode(charset frames.Charset, value string) string {
	if charset != frames.Latin1 {
		return value
	}
	text := make([]rune, len(value))
	for i := range len(value) {
		text[i] = rune(value[i])
	}
	return string(text)
}

// RuleAbout is which Actions a rule is about, as a pattern, and which header.
type RuleAbout struct{ Text, Action, Header string }

// About returns what each rule is about.
func (r Rules) About() []RuleAbout {
	all := make([]RuleAbout, len(r))
	for i := range r {
		all[i] = RuleAbout{r[i].text, r[i].action[0], r[i].header}
	}
	return all
}
