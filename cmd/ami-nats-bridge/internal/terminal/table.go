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
	// narrowest is how far a column is cut before the last one is left out.
	narrowest = 14
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
		for n := len(natural); n > 0; n-- {
			if widths = shrunk(natural[:n], s.Width-Width(t.Indent)); widths != nil {
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

// shrunk are the widths of columns that fit so many columns of a screen, the
// widest cut first; nil if they cannot.
func shrunk(natural []int, room int) []int {
	widths := slices.Clone(natural)
	total := gap * (len(widths) - 1)
	for _, width := range widths {
		total += width
	}
	for total > room {
		widest := slices.Index(widths, slices.Max(widths))
		if widths[widest] <= narrowest {
			return nil
		}
		widths[widest]--
		total--
	}
	return widths
}
