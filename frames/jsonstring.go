package frames

import (
	"encoding/binary"
	"unicode/utf8"
)

// AppendJSONString appends value as one JSON string, quotes included. Bytes
// that are no text in c become U+FFFD, one each, and are counted in replaced.
func AppendJSONString(dst, value []byte, c Charset) (out []byte, replaced int) {
	return appendString(dst, value, c, 0)
}

func appendString(dst, s []byte, c Charset, replaced int) (out []byte, total int) {
	dst = append(dst, '"')
	if isPlain(s) {
		dst = append(dst, s...)
	} else {
		dst, replaced = appendEscaped(dst, s, c, replaced)
	}
	return append(dst, '"'), replaced
}

// Every byte of a word.
const (
	lows  = 0x0101010101010101
	highs = 0x80 * lows
	// fill is the blanks behind the three bytes of a short string.
	fill = ' ' * (lows >> 24) << 24
)

// isPlain reports whether s is printable ASCII without quotes and backslashes,
// and so is its own JSON. It looks at eight bytes at a time.
func isPlain(s []byte) bool {
	n := len(s)
	if n < 8 {
		// The halves overlap in the middle.
		switch {
		case n >= 4:
			return plainWord(uint64(binary.LittleEndian.Uint32(s)) |
				uint64(binary.LittleEndian.Uint32(s[n-4:]))<<32)
		case n > 0:
			return plainWord(uint64(s[0]) | uint64(s[n/2])<<8 | uint64(s[n-1])<<16 | fill)
		}
		return true
	}
	last := binary.LittleEndian.Uint64(s[n-8:])
	for len(s) > 8 {
		if !plainWord(binary.LittleEndian.Uint64(s)) {
			return false
		}
		s = s[8:]
	}
	return plainWord(last)
}

// plainWord is isPlain for eight bytes. Each term borrows from the highest bit
// of a byte it is about: one below a blank, a quote, a backslash. A borrow that
// crosses into the next byte can only come from such a byte.
func plainWord(w uint64) bool {
	return (w|(w-' '*lows)|((w^'"'*lows)-lows)|((w^'\\'*lows)-lows))&highs == 0
}

// appendEscaped appends the text of s with whatever must be escaped or replaced.
func appendEscaped(dst, s []byte, c Charset, replaced int) (out []byte, total int) {
	from := 0 // s[from:i] needs no change
	for i := 0; i < len(s); {
		b := s[i]
		if b >= ' ' && b < utf8.RuneSelf && b != '"' && b != '\\' {
			i++
			continue
		}
		if b >= utf8.RuneSelf && c != Latin1 {
			if r, size := utf8.DecodeRune(s[i:]); r != utf8.RuneError || size > 1 {
				i += size
				continue
			}
		}
		dst = append(dst, s[from:i]...)
		i++
		from = i
		switch {
		case b < utf8.RuneSelf:
			dst = appendEscape(dst, b)
		case c == Latin1:
			dst = utf8.AppendRune(dst, rune(b))
		default:
			dst = utf8.AppendRune(dst, utf8.RuneError)
			replaced++
		}
	}
	return append(dst, s[from:]...), replaced
}

func appendEscape(dst []byte, b byte) []byte {
	switch b {
	case '"', '\\':
		return append(dst, '\\', b)
	case '\n':
		return append(dst, '\\', 'n')
	case '\r':
		return append(dst, '\\', 'r')
	case '\t':
		return append(dst, '\\', 't')
	}
	const hex = "0123456789abcdef"
	return append(dst, '\\', 'u', '0', '0', hex[b>>4], hex[b&0xF])
}
