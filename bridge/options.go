package bridge

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// options are what a request's headers ask for.
type options struct {
	timeout   time.Duration // Ami-Timeout; 0: the Action's own
	complete  bool          // Ami-Wait: complete
	stream    bool          // Ami-Reply: stream
	strict    bool          // Ami-Validate: strict
	requester string        // Ami-Requester, for the audit
	key       string        // Ami-Idempotency-Key
	group     serverName    // Ami-Group; zero: all
}

const (
	maxRequester = 256
	maxKey       = 128
)

// read reads the headers that begin with Ami-, in any case. One that nobody
// knows is refused: a mistyped Ami-Idempotency-Key would be a second phone call.
func (o *options) read(h nats.Header) error {
	for name, values := range h {
		if len(name) < 4 || !strings.EqualFold(name[:4], "Ami-") {
			continue
		}
		if len(values) != 1 {
			return fmt.Errorf("%.40q is there %d times", name, len(values))
		}
		if err := o.set(name, values[0]); err != nil {
			return err
		}
	}
	if o.key != "" && o.stream {
		return errors.New("Ami-Idempotency-Key and Ami-Reply: stream exclude each other: parts are not remembered")
	}
	return nil
}

func (o *options) set(name, value string) error {
	switch strings.ToLower(name) {
	case "ami-timeout":
		d, err := time.ParseDuration(value)
		if err != nil || d <= 0 {
			return errors.New("Ami-Timeout wants a positive duration such as 10s")
		}
		o.timeout = d
	case "ami-wait":
		return only(&o.complete, name, value, "complete")
	case "ami-reply":
		return only(&o.stream, name, value, "stream")
	case "ami-validate":
		return only(&o.strict, name, value, "strict")
	case "ami-requester":
		if len(value) > maxRequester {
			return fmt.Errorf("Ami-Requester wants at most %d bytes", maxRequester)
		}
		o.requester = value
	case "ami-idempotency-key":
		if value == "" || len(value) > maxKey {
			return fmt.Errorf("Ami-Idempotency-Key wants 1 to %d bytes", maxKey)
		}
		o.key = value
	case "ami-group":
		group, err := parseServerName(value)
		if err != nil {
			return fmt.Errorf("Ami-Group: %w", err)
		}
		o.group = group
	default:
		return fmt.Errorf("%.40q is no header of a request: docs/actions.md has the list", name)
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
