package frames

import "strings"

// True reports whether Asterisk takes the value of a header for a truth
// (main/utils.c ast_true).
func True(text string) bool {
	switch strings.ToLower(text) {
	case "yes", "true", "y", "t", "1", "on":
		return true
	}
	return false
}
