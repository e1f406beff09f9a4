package frames

import (
	"encoding/binary"
	"slices"
	"unicode/utf8"
)

// AppendJSONString appends value as one JSON string, quotes included. Bytes
// that are no text in c become U+FFFD, one each, and are counted in replaced.
func AppendJSONString(dst, value []byte, c Charset) (out []byte, replaced int) {
	return appendString(dst, value, c, 0)
}

func appendString(dst, s []byte, c Charset, replaced int) (out []byte, total int) {
	n, size := len(dst), len(s)+len(`""`)
	dst = slices.Grow(dst, size)[:n+size]
	dst[n], dst[n+size-1] = '"', '"'
	if copyPlain(dst[n+1:], s) == 0 {
		return dst, replaced
	}
	dst, replaced = appendEscaped(dst[:n+1], s, c, replaced)
	return append(dst, '"'), replaced
}

// Every byte of a word.
const (
	lows  = 0x0101010101010101
	highs = 0x80 * lows
	// fill is the blanks behind the three bytes of a short string.
	fill = ' ' * (lows >> 24) << 24
)

// copyPlain copies s to dst, which is as long at least, eight bytes at a time, and
// returns 0 if s is plain: printable ASCII without quotes and backslashes, and so
// its own JSON.
func copyPlain(dst, s []byte) (odd uint64) {
	n := len(s)
	dst = dst[:n]
	switch {
	case n >= 8:
		// The last eight overlap those before them, as do the halves of less.
		first, last := binary.LittleEndian.Uint64(s), binary.LittleEndian.Uint64(s[n-8:])
		binary.LittleEndian.PutUint64(dst, first)
		binary.LittleEndian.PutUint64(dst[n-8:], last)
		odd = oddBytes(first) | oddBytes(last)
		for i := 8; i < n-8; i += 8 {
			w := binary.LittleEndian.Uint64(s[i:])
			binary.LittleEndian.PutUint64(dst[i:], w)
			odd |= oddBytes(w)
		}
		return odd
	case n >= 4:
		first, last := binary.LittleEndian.Uint32(s), binary.LittleEndian.Uint32(s[n-4:])
		binary.LittleEndian.PutUint32(dst, first)
		binary.LittleEndian.PutUint32(dst[n-4:], last)
		return oddBytes(uint64(first) | uint64(last)<<32)
	case n > 0:
		first, middle, last := s[0], s[n/2], s[n-1]
		dst[0], dst[n/2], dst[n-1] = first, middle, last
		return oddBytes(uint64(first) | uint64(middle)<<8 | uint64(last)<<16 | fill)
	}
	return 0
}

// oddBytes returns 0 if the eight bytes of w are plain. Each term borrows from the
// highest bit of a byte it is about: one below a blank, a quote, a backslash. A
// borrow that crosses into the next byte can only come from such a byte.
func oddBytes(w uint64) uint64 {
	return (w | (w - ' '*lows) | ((w ^ '"'*lows) - lows) | ((w ^ '\\'*lows) - lows)) & highs
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
