package view

import (
	"encoding/hex"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/name"
)

// clean makes a text from Asterisk harmless and bounds it to maxText bytes: control
// characters (C0, C1), what changes the direction of text, and what cannot be seen go;
// a tab or the end of a line becomes a space; what is no UTF-8 becomes U+FFFD. It
// keeps none of the memory of s if it cuts.
func clean(s string) string { return cleanTo(s, maxText) }

// Clean makes any text harmless for a terminal, as a Model does with what it takes, and
// cuts what is longer than any line.
func Clean(s string) string { return cleanTo(s, 4096) }

func cleanTo(s string, limit int) string {
	if len(s) <= limit && isPlain(s) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '\t', r == '\n', r == '\r', r == '\u2028', r == '\u2029':
			r = ' '
		case unicode.IsControl(r), unicode.Is(unicode.Cf, r) && !joins(r):
			continue
		}
		if b.Len()+utf8.RuneLen(r) > limit {
			break
		}
		b.WriteRune(r)
	}
	return b.String()
}

// joins says whether r joins letters, as Persian and emoji need it.
func joins(r rune) bool { return r == '\u200c' || r == '\u200d' }

func isPlain(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// isName says whether s may be the name of a server or of a node.
func isName(s string, longest int) bool { return name.Valid(s, longest) }

// unescape undoes the =XX of an id in a key of AMI_STATE. What is no such escape stays.
func unescape(id string) string {
	if !strings.Contains(id, "=") {
		return id
	}
	var b strings.Builder
	for i := 0; i < len(id); i++ {
		if id[i] == '=' && i+2 < len(id) {
			if char, err := hex.DecodeString(id[i+1 : i+3]); err == nil {
				b.Write(char)
				i += 2
				continue
			}
		}
		b.WriteByte(id[i])
	}
	return b.String()
}
