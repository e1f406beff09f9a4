package frames

import "slices"

// rawKey names the lines that have no colon.
var rawKey = []byte("$raw")

// AppendJSON appends f as one flat JSON object: its headers in wire order with
// names and values exactly as sent, every value a string. A repeated header is
// an array at the place of its first; a channel variable is always an array; a
// line without a colon is a header named $raw. Bytes that are no text in c
// become U+FFFD and are counted in replaced.
//
// It allocates nothing but room in dst, save for a frame of more than 128
// headers, which needs an index.
func AppendJSON(dst []byte, f *Frame, c Charset) (out []byte, replaced int) {
	n := len(f.Headers)
	if n > maxSmall {
		slots, next := newIndex(n)
		linkRepeats(f.Headers, slots, next)
		return appendObject(dst, f.Headers, next, c)
	}
	if mayRepeat(f.Headers) {
		var slots [2 * maxSmall]uint8
		var next [maxSmall]uint8
		if linkRepeats(f.Headers, slots[:], next[:n]) {
			return appendObject(dst, f.Headers, next[:n], c)
		}
	}
	return appendObject[uint8](dst, f.Headers, nil, c)
}

// appendObject appends an object of headers. next links the repeats; nil if
// there are none.
func appendObject[T offset](dst []byte, headers []Header, next []T, c Charset) (out []byte, replaced int) {
	start := len(dst)
	for i := 0; i < len(headers); i++ {
		var repeats T
		if next != nil {
			if repeats = next[i]; isRepeat(repeats) {
				continue
			}
		} else {
			var plain int
			dst, plain = appendPlain(dst, headers[i:])
			if i += plain; i == len(headers) {
				break
			}
		}
		name, value := nameOf(&headers[i]), headers[i].Value
		dst, replaced = appendName(dst, name, c, replaced)
		if repeats == 0 && !isChanVariable(name) {
			dst, replaced = appendString(dst, value, c, replaced)
			continue
		}
		dst = append(dst, '[')
		dst, replaced = appendString(dst, value, c, replaced)
		for ; repeats != 0; repeats = following(next[repeats]) {
			dst = append(dst, ',')
			dst, replaced = appendString(dst, headers[repeats].Value, c, replaced)
		}
		dst = append(dst, ']')
	}
	if len(dst) == start {
		return append(dst, '{', '}'), 0
	}
	// Every member came with a comma before it.
	dst[start] = '{'
	return append(dst, '}'), replaced
}

// appendPlain appends the members of the first headers, up to one that needs an
// escape, is an array or has no name, and returns how many those are: in most
// frames all. One look at each byte, and at the capacity, is what it saves.
func appendPlain(dst []byte, headers []Header) (out []byte, plain int) {
	at, room := len(dst), dst[:cap(dst)]
	for i := range headers {
		name, value := headers[i].Key, headers[i].Value
		if name == nil || isChanVariable(name) {
			return room[:at], i
		}
		size := len(`,"":""`) + len(name) + len(value)
		if size > len(room)-at {
			room = slices.Grow(room[:at], size)
			room = room[:cap(room)]
		}
		member := room[at : at+size]
		member[0], member[1] = ',', '"'
		odd := copyPlain(member[2:], name)
		rest := member[2+len(name):]
		rest[0], rest[1], rest[2] = '"', ':', '"'
		odd |= copyPlain(rest[3:], value)
		if odd != 0 {
			return room[:at], i
		}
		member[size-1] = '"'
		at += size
	}
	return room[:at], len(headers)
}

func appendName(dst, name []byte, c Charset, replaced int) (out []byte, total int) {
	dst, replaced = appendString(append(dst, ','), name, c, replaced)
	return append(dst, ':'), replaced
}

// isChanVariable reports whether name is that of a channel variable: of any
// channel in an event, or of a named one up to Asterisk 11.
func isChanVariable(name []byte) bool {
	const variable = "ChanVariable"
	n := len(name)
	if n < len(variable) {
		return false
	}
	return string(name[n-len(variable):]) == variable ||
		n > len(variable) && name[len(variable)] == '(' && string(name[:len(variable)]) == variable
}
