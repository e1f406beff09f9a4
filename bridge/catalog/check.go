package catalog

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Check returns nil if action is not known or takes all of headers, whose case
// does not matter, as in AMI. Else the error, one line, names each that it does
// not take, once, with the nearest that it does take.
func Check(action string, headers []string) error {
	r, ok := find(action)
	if !ok {
		return nil
	}
	var wrong, reasons []string
	for _, h := range headers {
		if r.takes(h) || slices.Contains(wrong, h) {
			continue
		}
		wrong = append(wrong, h)
		if len(r.headers) == 0 {
			reasons = append(reasons, fmt.Sprintf("%.64s is not a header of %s, which takes none", h, r.action))
			continue
		}
		reasons = append(reasons,
			fmt.Sprintf("%.64s is not a header of %s: did you mean %s?", h, r.action, Nearest(h, r.headers)))
	}
	if len(reasons) == 0 {
		return nil
	}
	return errors.New(strings.Join(reasons, "; "))
}

// Headers are those that action takes, beside Action and ActionID; a 0 in one
// stands for any digit. None are known of an Action that is not, or that takes
// any. Nobody changes them.
func Headers(action string) []string {
	r, ok := find(action)
	if !ok || slices.Contains(r.headers, "*") {
		return nil
	}
	return r.headers
}

// takes reports whether the Action has that header. Every one has Action and
// ActionID.
func (r row) takes(header string) bool {
	numbered := strings.Map(digit0, header)
	return strings.EqualFold(header, "ActionID") || strings.EqualFold(header, "Action") ||
		slices.ContainsFunc(r.headers, func(known string) bool {
			return known == "*" || strings.EqualFold(known, header) || strings.EqualFold(known, numbered)
		})
}

// digit0 returns 0 for a digit and r for any other character.
func digit0(r rune) rune {
	if '0' <= r && r <= '9' {
		return '0'
	}
	return r
}
