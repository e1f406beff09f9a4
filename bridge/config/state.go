package config

import (
	"fmt"
	"slices"
	"strings"
)

// StateKinds names what of a server is kept in the bucket of its state, in words of
// stateWords. None is nothing.
type StateKinds []string

// stateWords are the words for it.
var stateWords = []string{
	"channels", "bridges", "queues", "parking", "conferences", "extensions",
	"agents", "presence", "contacts", "registrations", "devices",
}

// noState is how nothing is spelled.
const noState = "none"

// Has reports whether word is among k.
func (k StateKinds) Has(word string) bool { return slices.Contains(k, word) }

// String returns k as UnmarshalText takes it.
func (k StateKinds) String() string {
	if len(k) == 0 {
		return noState
	}
	return strings.Join(k, ",")
}

// UnmarshalText accepts words separated by commas, or none.
func (k *StateKinds) UnmarshalText(text []byte) error {
	var all StateKinds
	for word := range strings.SplitSeq(string(text), ",") {
		word = strings.ToLower(strings.TrimSpace(word))
		switch {
		case word == "" || all.Has(word):
		case !slices.Contains(stateWords, word) && word != noState:
			return fmt.Errorf("has no %.40q: wants some of %s, or %s", word, strings.Join(stateWords, ","), noState)
		default:
			all = append(all, word)
		}
	}
	if all.Has(noState) {
		if len(all) > 1 {
			return fmt.Errorf("wants %s alone, or without it what is to be kept", noState)
		}
		all = StateKinds{}
	}
	*k = all
	return nil
}
