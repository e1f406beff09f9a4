package main

import (
	"errors"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/redact"
)

// redactor takes secrets out of log lines. It is safe for concurrent use.
type redactor struct{ *redact.Redactor }

// newRedactor knows the secrets of s besides what every redactor knows.
func newRedactor(s *settings) *redactor {
	common, _ := s.base.ReadSecret() // check has complained
	return redacting(redact.Options{
		Known: append(s.bridge.Secrets(), string(common)),
		Names: s.LogRedactKeys.match, Pattern: s.LogRedactPattern.Regexp,
	})
}

func redacting(o redact.Options) *redactor { return &redactor{redact.New(o)} }

// globList are patterns as path.Match has them.
type globList []string

// Decode reads patterns separated by commas.
func (g *globList) Decode(text string) error {
	list := globList{}
	for pattern := range strings.SplitSeq(text, ",") {
		if pattern = strings.TrimSpace(pattern); pattern == "" {
			continue
		}
		if _, err := path.Match(pattern, ""); err != nil {
			return errors.New("wants patterns of field keys such as card*,pin")
		}
		list = append(list, pattern)
	}
	*g = list
	return nil
}

// match reports whether some pattern matches name, ignoring case.
func (g globList) match(name string) bool {
	return slices.ContainsFunc(g, func(glob string) bool {
		ok, _ := path.Match(strings.ToLower(glob), strings.ToLower(name)) // checked when it was read
		return ok
	})
}

func (g globList) String() string { return strings.Join(g, ",") }

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
