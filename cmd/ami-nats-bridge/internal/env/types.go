package env

import (
	"errors"
	"regexp"
	"strings"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/redact"
)

// names is a list of servers.
type names []string

// Decode reads names separated by commas.
func (n *names) Decode(text string) error {
	*n = nil
	for name := range strings.SplitSeq(text, ",") {
		if name = strings.TrimSpace(name); name != "" {
			*n = append(*n, name)
		}
	}
	return nil
}

func (n names) String() string { return strings.Join(n, ",") }

// pattern is a regular expression, or none.
type pattern struct{ *regexp.Regexp }

// Decode reads a regular expression of Go's.
func (p *pattern) Decode(text string) error {
	compiled, err := regexp.Compile(text)
	if err != nil || compiled.MatchString("") {
		return errors.New("wants a regular expression (RE2) that does not match empty text, such as card=[0-9]+")
	}
	p.Regexp = compiled
	return nil
}

// String returns "[redacted]", or "" for none: what is to be hidden may stand
// in the expression.
func (p pattern) String() string {
	if p.Regexp == nil {
		return ""
	}
	return redact.Hidden
}
