// Package terminal knows what may be written to a terminal, and how it fits.
package terminal

import (
	"io"
	"os"
	"strings"
	"unicode"

	"golang.org/x/sys/unix"
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

// Screen is what is known of where lines are shown. The zero Screen is no
// terminal: lines are as long as they are, and have no colour.
type Screen struct {
	Width  int // columns of a line; 0: any
	Colour bool
}

// ScreenOf asks the terminal that w is, if it is one. Colour is off where
// NO_COLOR is set to anything, or TERM is dumb.
func ScreenOf(w io.Writer) Screen {
	file, ok := w.(*os.File)
	if !ok {
		return Screen{}
	}
	size, err := unix.IoctlGetWinsize(int(file.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return Screen{}
	}
	return Screen{Width: int(size.Col), Colour: os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"}
}
