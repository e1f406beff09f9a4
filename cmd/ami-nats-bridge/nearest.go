package main

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/catalog"
)

// unlike says that none of those called kind matches pattern, and which is the
// nearest; "" if one does.
func unlike(kind, pattern string, those []string) string {
	if matchesAny(pattern, those) {
		return ""
	}
	if len(those) == 0 {
		return fmt.Sprintf("no %s is called %.80s", kind, pattern)
	}
	return fmt.Sprintf("no %s is called %.80s: the nearest is %s", kind, pattern, nearest(pattern, those))
}

// nearest is the one of those that pattern matches but for its case, or else the
// one with the least edits.
func nearest(pattern string, those []string) string {
	for _, name := range those {
		if ok, _ := path.Match(strings.ToLower(pattern), strings.ToLower(name)); ok {
			return name
		}
	}
	return catalog.Nearest(strings.Trim(pattern, `*?[]\`), those)
}

// unknownEvents says which of patterns match no event that some Asterisk sends.
// It may still be one of a newer Asterisk or of a foreign module.
func unknownEvents(patterns []string) []string {
	var notes []string
	for _, p := range patterns {
		if why := unlike("event of Asterisk 1.8 to 23", p, append(catalog.EventNames(), "Gap")); why != "" {
			notes = append(notes, why)
		}
	}
	return notes
}

func names[T any](m map[string]T) []string { return slices.Sorted(maps.Keys(m)) }
