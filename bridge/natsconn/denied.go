package natsconn

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/nats-io/nats.go"
)

var ErrDenied = errors.New("NATS does not let the bridge")

// deniedText is how nats-server says it (client.go, pubPermissionViolation).
var deniedText = regexp.MustCompile(`(?i)Permissions Violation for (Publish|Subscription) to "([^"]+)"`)

// Denial reads what NATS does not let the bridge do: on which subject, and
// whether that was to publish. The error that it returns is nil if err is
// something else.
func Denial(err error) (subject string, publish bool, denied error) {
	if !errors.Is(err, nats.ErrPermissionViolation) {
		return "", false, nil
	}
	match := deniedText.FindStringSubmatch(err.Error())
	if match == nil {
		return "", false, nil
	}
	verb := "publish"
	if publish = match[1][0]|0x20 == 'p'; !publish {
		verb = "subscribe"
	}
	return match[2], publish, fmt.Errorf("%w %s to %s", ErrDenied, verb, match[2])
}

// Covers reports whether pattern matches all that subject, which may have
// wildcards, does.
func Covers(pattern, subject string) bool {
	p, s := strings.Split(pattern, "."), strings.Split(subject, ".")
	for i, token := range p {
		switch {
		case token == ">":
			return len(s) > i
		case i >= len(s) || s[i] == ">" || token != "*" && token != s[i]:
			return false
		}
	}
	return len(p) == len(s)
}

// CoversAny reports whether one of patterns covers subject.
func CoversAny(patterns []string, subject string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool { return Covers(pattern, subject) })
}
