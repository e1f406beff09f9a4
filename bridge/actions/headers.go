package actions

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/audit"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/name"
)

// options are what a request's headers ask for.
type options struct {
	timeout   time.Duration // Ami-Timeout; 0: the Action's own
	complete  bool          // Ami-Wait: complete
	stream    bool          // Ami-Reply: stream
	strict    bool          // Ami-Validate: strict
	requester string        // Ami-Requester, until the audit has it
	key       string        // Ami-Idempotency-Key
	group     name.Server   // Ami-Group; zero: all
}

const (
	maxKey = 128
	// maxOptions is from how many headers on none is looked at but Ami-Requester.
	maxOptions = 32
	// maxClaimed bounds what is kept of Ami-Requester until its secrets are
	// hidden and it is cut to MaxRequester.
	maxClaimed = 4 * audit.MaxRequester
)

// read reads the headers that begin with Ami-, in any case, in the order of
// their names: the order of a map must decide nothing. One that nobody knows is
// refused: a mistyped Ami-Idempotency-Key would be a second phone call. What they
// say of the requester is kept whatever else is wrong.
func (o *options) read(h nats.Header) error {
	var names []string
	for name := range h {
		if len(name) >= 4 && strings.EqualFold(name[:4], "Ami-") && (len(names) < maxOptions || isRequester(name)) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	o.requester = claimed(h, names)
	if len(names) >= maxOptions {
		return fmt.Errorf("%d or more headers begin with Ami-: docs/actions.md has the list", maxOptions)
	}
	seen := make(map[string]bool, len(names))
	for _, name := range names {
		lower := strings.ToLower(name)
		if seen[lower] || len(h[name]) != 1 {
			return fmt.Errorf("the header %.40q is there more than once", name)
		}
		seen[lower] = true
		if err := o.set(lower, name, h[name][0]); err != nil {
			return err
		}
	}
	if o.key != "" && o.stream {
		return errors.New("Ami-Idempotency-Key and Ami-Reply: stream exclude each other: parts are not remembered")
	}
	return nil
}

func isRequester(name string) bool { return strings.EqualFold(name, "Ami-Requester") }

// claimed is all that Ami-Requester says, however often it is there, up to a
// bound.
func claimed(h nats.Header, names []string) string {
	var all []string
	size := 0
	for _, name := range names {
		if !isRequester(name) {
			continue
		}
		for _, value := range h[name] {
			if size > maxClaimed {
				break
			}
			value = value[:min(len(value), maxClaimed)]
			size += len(value) + len(", ")
			all = append(all, value)
		}
	}
	return strings.Clone(strings.Join(all, ", ")) // nats.go cuts all headers out of one text
}

// set takes the value of a header, whose name is known in lower case.
func (o *options) set(lower, token, value string) error {
	switch lower {
	case "ami-timeout":
		d, err := time.ParseDuration(value)
		if err != nil || d <= 0 {
			return errors.New("Ami-Timeout wants a positive duration such as 10s")
		}
		o.timeout = d
	case "ami-wait":
		return only(&o.complete, token, value, "complete")
	case "ami-reply":
		return only(&o.stream, token, value, "stream")
	case "ami-validate":
		return only(&o.strict, token, value, "strict")
	case "ami-requester":
		if len(value) > audit.MaxRequester {
			return fmt.Errorf("Ami-Requester wants at most %d bytes", audit.MaxRequester)
		}
	case "ami-idempotency-key":
		if value == "" || len(value) > maxKey {
			return fmt.Errorf("Ami-Idempotency-Key wants 1 to %d bytes", maxKey)
		}
		o.key = strings.Clone(value)
	case "ami-group":
		group, err := name.ParseServer(value)
		if err != nil {
			return fmt.Errorf("Ami-Group: %w", err)
		}
		o.group = group
	default:
		return fmt.Errorf("%.40q is not a header of a request: docs/actions.md has the list", token)
	}
	return nil
}

// only sets to if value is the one that name knows.
func only(to *bool, name, value, known string) error {
	if value != known {
		return fmt.Errorf("%s wants %s", name, known)
	}
	*to = true
	return nil
}
