package terminal

import (
	"io"
	"strings"

	"github.com/mattn/go-runewidth"
)

// Style is how a piece of a line looks where there is colour. No style says
// what the text does not.
type Style string

// The styles, as SGR parameters (ECMA-48, 8.3.117).
const (
	Plain Style = ""
	Bold  Style = "1"
	Dim   Style = "2"
	Bad   Style = "31" // red
	Note  Style = "33" // yellow
	Good  Style = "32" // green
)

// Piece is a text in one style.
type Piece struct {
	Style Style
	Text  string
}

// Line is pieces side by side. What they hold is to be Printable.
type Line []Piece

// Print writes l and ends it, cut to the width of the screen.
func (s Screen) Print(w io.Writer, l Line) error {
	for len(l) > 0 && strings.TrimRight(l[len(l)-1].Text, " ") == "" {
		l = l[:len(l)-1]
	}
	var out strings.Builder
	room := s.Width
	for i, p := range l {
		text := p.Text
		if i == len(l)-1 {
			text = strings.TrimRight(text, " ")
		}
		if s.Width > 0 {
			if room <= 0 {
				break
			}
			text = s.cut(text, room, i < len(l)-1)
			room -= Width(text)
		}
		if text == "" || !s.Colour || p.Style == Plain {
			out.WriteString(text)
			continue
		}
		out.WriteString("\x1b[" + string(p.Style) + "m" + text + "\x1b[0m")
	}
	out.WriteByte('\n')
	_, err := io.WriteString(w, out.String())
	return err
}

// cut is Cut, and marks as well a text that just fits and that others follow.
func (s Screen) cut(text string, room int, more bool) string {
	if more && Width(text) == room {
		return Cut(text+" ", room)
	}
	return Cut(text, room)
}

// wide counts columns as terminals do that are not told to treat ambiguous
// characters as wide.
func wide() *runewidth.Condition { return &runewidth.Condition{StrictEmojiNeutral: true} }

// Width is how many columns a Printable text takes.
func Width(text string) int { return wide().StringWidth(text) }

// Cut is text in at most so many columns; what was longer ends in "…".
func Cut(text string, columns int) string {
	if Width(text) <= columns {
		return text
	}
	return wide().Truncate(text, columns, "…")
}

// Pad is text in at least so many columns.
func Pad(text string, columns int) string {
	return text + strings.Repeat(" ", max(0, columns-Width(text)))
}
