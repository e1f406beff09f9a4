package setting

import (
	"fmt"
	"path"
	"strings"
)

// Globs is a list of patterns as path.Match has them.
type Globs []string

// Decode reads patterns separated by commas.
func (g *Globs) Decode(text string) error {
	list := Globs{}
	for pattern := range strings.SplitSeq(text, ",") {
		if pattern = strings.TrimSpace(pattern); pattern == "" {
			continue
		}
		if _, err := path.Match(pattern, ""); err != nil {
			return fmt.Errorf("wants patterns such as Queue*,Hangup")
		}
		list = append(list, pattern)
	}
	*g = list
	return nil
}

// String returns the patterns separated by commas.
func (g Globs) String() string { return strings.Join(g, ",") }

// Match reports whether some pattern matches name, ignoring case as Asterisk
// does with the names of Actions.
func (g Globs) Match(name string) bool { return g.Find(name) != "" }

// Find returns the first pattern that matches name, or "".
func (g Globs) Find(name string) string {
	for _, pattern := range g {
		// Decode has refused malformed patterns.
		if ok, _ := path.Match(strings.ToLower(pattern), strings.ToLower(name)); ok {
			return pattern
		}
	}
	return ""
}
