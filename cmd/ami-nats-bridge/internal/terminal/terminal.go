// Package terminal knows what may be written to a terminal.
package terminal

import (
	"io"
	"os"
	"strings"
	"unicode"
)

// Printable replaces what could drive a terminal: names of callers come from
// the telephone network.
func Printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, s)
}

// Is reports whether w is one, so that a line can be rewritten.
func Is(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
