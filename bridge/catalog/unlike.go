package catalog

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// Unlike says that none of those called kind matches pattern, and which is the
// nearest; "" if one does.
func Unlike(kind, pattern string, those []string) string {
	if slices.ContainsFunc(those, func(name string) bool { ok, _ := path.Match(pattern, name); return ok }) {
		return ""
	}
	if len(those) == 0 {
		return fmt.Sprintf("no %s is called %.80s", kind, pattern)
	}
	return fmt.Sprintf("no %s is called %.80s: the nearest is %s", kind, pattern, NearestTo(pattern, those))
}

// NearestTo is the one of those that pattern matches but for its case, or else the
// one with the least edits.
func NearestTo(pattern string, those []string) string {
	for _, name := range those {
		if ok, _ := path.Match(strings.ToLower(pattern), strings.ToLower(name)); ok {
			return name
		}
	}
	return Nearest(strings.Trim(pattern, `*?[]\`), those)
}

// UnknownEvents says which of patterns match no event that some Asterisk sends.
// It may still be one of a newer Asterisk or of a foreign module.
func UnknownEvents(patterns []string) []string {
	var notes []string
	for _, p := range patterns {
		if why := Unlike("event of Asterisk 1.8 to 23", p, append(EventNames(), "Gap")); why != "" {
			notes = append(notes, why)
		}
	}
	return notes
}
