package terminal

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

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

// JSON is raw, a text of JSON, with what is not printable and not ASCII escaped:
// encoders leave U+009B as it is, which drives a terminal like ESC [. It says the
// same.
func JSON(raw []byte) []byte {
	odd := func(r rune) bool { return r >= 0x7f && !unicode.IsPrint(r) }
	plain := 0 // so many bytes need no look as runes
	for plain < len(raw) && raw[plain] < 0x7f {
		plain++
	}
	if !bytes.ContainsFunc(raw[plain:], odd) {
		return raw
	}
	var out []byte
	for _, r := range string(raw) {
		switch {
		case !odd(r):
			out = utf8.AppendRune(out, r)
		case r <= 0xffff:
			out = fmt.Appendf(out, `\u%04x`, r)
		default:
			high, low := utf16.EncodeRune(r)
			out = fmt.Appendf(out, `\u%04x\u%04x`, high, low)
		}
	}
	return out
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
