package terminal

import (
	"io"
	"slices"
	"strings"
)

// Table is rows under a head, of which the first columns matter most.
type Table struct {
	Indent string
	Head   []string
	Rows   [][]string
}

const (
	gap = 2 // columns between two columns
	// narrowest is how far a column is cut before the last one is left out; its head is
	// not cut, and the first column to no less than one of firstShare parts of the screen:
	// of names that begin alike too little would be left.
	narrowest  = 14
	firstShare = 4
)

// PrintTable writes t as wide as s lets it, and returns the heads of the columns
// that did not fit: long cells are cut first, then columns are left out from the
// last on.
func (s Screen) PrintTable(w io.Writer, t *Table) (left []string, err error) {
	natural := make([]int, len(t.Head))
	for _, row := range append([][]string{t.Head}, t.Rows...) {
		for i, cell := range row {
			natural[i] = max(natural[i], Width(cell))
		}
	}
	widths := natural
	if s.Width > 0 {
		least := make([]int, len(t.Head))
		for i, head := range t.Head {
			least[i] = max(narrowest, Width(head))
		}
		if len(least) > 0 {
			least[0] = max(least[0], s.Width/firstShare)
		}
		for n := len(natural); n > 0; n-- {
			if widths = shrunk(natural[:n], least, s.Width-Width(t.Indent)); widths != nil {
				break
			}
		}
		if widths == nil { // not even one
			widths = []int{max(1, s.Width-Width(t.Indent))}
		}
	}
	for i, row := range append([][]string{t.Head}, t.Rows...) {
		style := Plain
		if i == 0 {
			style = Bold
		}
		if err := s.Print(w, Line{{Plain, t.Indent}, {style, cells(row, widths)}}); err != nil {
			return nil, err
		}
	}
	return t.Head[min(len(widths), len(t.Head)):], nil
}

// cells are those of a row, side by side.
func cells(row []string, widths []int) string {
	var text strings.Builder
	for i, width := range widths {
		if i > 0 {
			text.WriteString(strings.Repeat(" ", gap))
		}
		text.WriteString(Pad(Cut(row[i], width), width))
	}
	return strings.TrimRight(text.String(), " ")
}

// shrunk are the widths of columns that fit so many columns of a screen, the widest cut
// first, each to its least; nil if they cannot.
func shrunk(natural, least []int, room int) []int {
	widths := slices.Clone(natural)
	total := gap * (len(widths) - 1)
	for _, width := range widths {
		total += width
	}
	for ; total > room; total-- {
		widest := -1
		for i, width := range widths {
			if width > least[i] && (widest < 0 || width > widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			return nil
		}
		widths[widest]--
	}
	return widths
}
