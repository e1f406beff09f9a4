package amiconn

import (
	"fmt"
	"path"
	"strings"
	"time"
)

// PerAction is a setting that depends on the Action. The first pattern that
// matches its name decides.
type PerAction[T any] []ActionValue[T]

// ActionValue is the Value for the Actions whose names match Pattern, as
// path.Match has it.
type ActionValue[T any] struct {
	Pattern string
	Value   T
}

// For returns the value for action, ignoring case as Asterisk does with the
// names of Actions.
func (p PerAction[T]) For(action string) (value T, ok bool) {
	for _, v := range p {
		// ReadPerAction has refused malformed patterns.
		if ok, _ := path.Match(strings.ToLower(v.Pattern), strings.ToLower(action)); ok {
			return v.Value, true
		}
	}
	return value, false
}

// ReadPerAction reads pattern=value pairs separated by commas. It is not ok if
// a pattern is malformed or read refuses a value.
func ReadPerAction[T any](text string, read func(string) (T, bool)) (all PerAction[T], ok bool) {
	for pair := range strings.SplitSeq(text, ",") {
		if pair = strings.TrimSpace(pair); pair == "" {
			continue
		}
		pattern, text, ok := strings.Cut(pair, "=")
		pattern = strings.TrimSpace(pattern)
		if _, err := path.Match(pattern, ""); !ok || err != nil || pattern == "" {
			return nil, false
		}
		value, ok := read(strings.TrimSpace(text))
		if !ok {
			return nil, false
		}
		all = append(all, ActionValue[T]{pattern, value})
	}
	return all, true
}

// String returns what ReadPerAction reads, with the values as fmt prints them.
func (p PerAction[T]) String() string {
	pairs := make([]string, len(p))
	for i, v := range p {
		pairs[i] = fmt.Sprint(v.Pattern, "=", v.Value)
	}
	return strings.Join(pairs, ",")
}

// Timeouts are ActionTimeouts of some Actions.
type Timeouts PerAction[time.Duration]

// Decode reads timeouts such as Originate=60s,Command=10s.
func (t *Timeouts) Decode(text string) error {
	all, ok := ReadPerAction(text, func(text string) (time.Duration, bool) {
		d, err := time.ParseDuration(text)
		return d, err == nil && d > 0
	})
	if !ok {
		return fmt.Errorf("wants patterns of actions with positive durations, such as Originate=60s,Queue*=5s")
	}
	*t = Timeouts(all)
	return nil
}

// String returns what Decode reads.
func (t Timeouts) String() string { return PerAction[time.Duration](t).String() }

// Timeout returns how long an Action may take that asks for so long, or for
// nothing in particular if 0.
func (c *Config) Timeout(action string, asked time.Duration) time.Duration {
	most, ok := PerAction[time.Duration](c.ActionTimeouts).For(action)
	if !ok {
		most = c.ActionTimeout
	}
	if asked <= 0 || asked > most {
		return most
	}
	return asked
}

// LongestTimeout returns the most that any Action may take.
func (c *Config) LongestTimeout() time.Duration {
	longest := c.ActionTimeout
	for _, t := range c.ActionTimeouts {
		longest = max(longest, t.Value)
	}
	return longest
}
