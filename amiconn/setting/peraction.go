package setting

import (
	"fmt"
	"path"
	"strings"
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
