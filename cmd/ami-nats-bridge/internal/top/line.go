package top

import (
	"image/color"
	"strings"

	"charm.land/lipgloss/v2"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/view"
)

// Profile is what a terminal can do.
type Profile struct {
	Colour bool // else signs and words alone say it
	UTF8   bool // else all is ASCII
}

// signs says whether the signs of views are those of Unicode. Without colour they would
// be hard to tell apart.
func (p Profile) signs() bool { return p.Colour && p.UTF8 }

// tone is how a text looks.
type tone uint8

const (
	plain tone = iota
	bold
	dim
	bad
	warn
	ok
	blue // a key
)

// colours are the 16 of ANSI: they follow the terminal's theme.
var colours = map[tone]color.Color{bad: lipgloss.BrightRed, warn: lipgloss.BrightYellow, ok: lipgloss.BrightGreen, blue: lipgloss.BrightBlue}

func (t tone) style() lipgloss.Style {
	s := lipgloss.NewStyle().Inline(true)
	switch {
	case colours[t] != nil:
		s = s.Foreground(colours[t])
	case t == dim:
		s = s.Faint(true)
	}
	return s.Bold(t == bold)
}

// span is a text of one tone.
type span struct {
	text string
	tone tone
}

// line is one of a screen.
type line struct {
	spans    []span
	selected bool
}

// add appends text, made harmless: that of a bridge on HTTP has come through no Model.
func (l *line) add(t tone, text string) *line {
	if text = view.Clean(text); text != "" {
		l.spans = append(l.spans, span{text, t})
	}
	return l
}

// width is how many cells l takes.
func (l *line) width() (w int) {
	for _, s := range l.spans {
		w += lipgloss.Width(s.text)
	}
	return w
}

// to fills l with blanks up to the cell n.
func (l *line) to(n int) *line { return l.add(plain, strings.Repeat(" ", max(0, n-l.width()))) }

// cell appends text cut or filled to n cells, with a blank behind it.
func (l *line) cell(t tone, text string, n int) *line { return l.add(t, fit(text, n)+" ") }

// number appends text cut or filled on its left to n cells, with a blank behind it.
func (l *line) number(t tone, text string, n int) *line {
	text = cut(text, n)
	return l.add(t, strings.Repeat(" ", n-lipgloss.Width(text))+text+" ")
}

// paint is l in exactly w cells.
func (l *line) paint(w int, p Profile) string {
	var b strings.Builder
	left := w
	for _, s := range l.spans {
		text := p.text(s.text)
		if lipgloss.Width(text) > left {
			text = p.text(cut(s.text, left))
		}
		left -= lipgloss.Width(text)
		if p.Colour {
			style := s.tone.style().Reverse(l.selected)
			text = style.Render(text)
		}
		b.WriteString(text)
		if left <= 0 {
			break
		}
	}
	rest := strings.Repeat(" ", max(0, left))
	if p.Colour && l.selected {
		rest = lipgloss.NewStyle().Reverse(true).Render(rest)
	}
	b.WriteString(rest)
	return b.String()
}

// plain is l as text for a clipboard or a file.
func (l *line) plain(p Profile) string {
	var b strings.Builder
	for _, s := range l.spans {
		b.WriteString(p.text(s.text))
	}
	return strings.TrimRight(b.String(), " ")
}

// text is s as the terminal can show it. The thin space of package view is a blank here:
// a terminal's cells are of one width.
func (p Profile) text(s string) string {
	s = strings.ReplaceAll(s, "\u202f", " ")
	if p.UTF8 {
		return s
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r == '…':
			return '~'
		case r > '~' || r < ' ':
			return '?'
		}
		return r
	}, s)
}

// fit is s cut or filled to n cells.
func fit(s string, n int) string {
	s = cut(s, n)
	return s + strings.Repeat(" ", max(0, n-lipgloss.Width(s)))
}

// cut is s in at most n cells; what is left out shows as an ellipsis. Wide characters
// count twice.
func cut(s string, n int) string {
	if n <= 0 {
		return ""
	}
	s = view.Clean(s)
	if lipgloss.Width(s) <= n {
		return s
	}
	end := 0
	for i := range s {
		if lipgloss.Width(s[:i]) > n-1 {
			break
		}
		end = i
	}
	return s[:end] + "…"
}

// end is the end of s in at most n cells; what is left out shows as an ellipsis.
func end(s string, n int) string {
	s = view.Clean(s)
	if lipgloss.Width(s) <= n {
		return s
	}
	for i := range s {
		if rest := s[i:]; lipgloss.Width(rest) < n {
			return "…" + rest
		}
	}
	return cut("…", n)
}

// wrap is s in lines of at most n cells, broken at blanks; the last of at most limit
// lines is cut.
func wrap(s string, n, limit int) (lines []string) {
	for rest := s; rest != ""; {
		if len(lines) == limit-1 || lipgloss.Width(rest) <= n {
			return append(lines, cut(rest, n))
		}
		end := 0
		for i, r := range rest {
			if lipgloss.Width(rest[:i]) > n {
				break
			}
			if r == ' ' {
				end = i
			}
		}
		if end == 0 {
			return append(lines, cut(rest, n))
		}
		lines = append(lines, rest[:end])
		rest = strings.TrimLeft(rest[end:], " ")
	}
	return lines
}
