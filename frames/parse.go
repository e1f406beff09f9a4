package frames

import (
	"bytes"
	"slices"
)

// appendLines appends the header of each line of b. No line holds an LF but at
// its end.
func appendLines(dst []Header, b []byte, ends []int) []Header {
	n := len(dst)
	dst = slices.Grow(dst, len(ends))[:n+len(ends)]
	start := 0
	for i, end := range ends {
		line := trimLineEnd(b[start:end])
		start = end
		// Written field by field: a Header that is copied whole right after
		// its fields were set costs twice the time.
		h := &dst[n+i]
		colon := bytes.IndexByte(line, ':')
		if colon >= 0 && colon+1 < len(line) && line[colon+1] == ' ' {
			h.Key, h.Value = line[:colon], line[colon+2:]
			continue
		}
		*h = splitHeader(line)
	}
	return dst
}

// appendSplit is appendLines for lines that hold an LF. It begins another
// header where one follows, as Asterisk's own Agents does (app_agent_pool.c),
// and is a part of the value otherwise, as in "Message: No endpoints found\n".
func appendSplit(dst []Header, b []byte, ends []int) []Header {
	start := 0
	for _, end := range ends {
		line := trimLineEnd(b[start:end])
		start = end
		for at := 0; ; {
			i := bytes.IndexByte(line[at:], '\n')
			if i < 0 {
				break
			}
			at += i + 1
			if beginsHeader(line[at:]) {
				dst = append(dst, splitHeader(line[:at-1]))
				line, at = line[at:], 0
			}
		}
		dst = append(dst, splitHeader(line))
	}
	return dst
}

// beginsHeader matches ^[A-Za-z][\w()/ .-]*: and a blank.
func beginsHeader(b []byte) bool {
	if len(b) == 0 || !isLetter(b[0]) {
		return false
	}
	for i, c := range b {
		switch {
		case isLetter(c), '0' <= c && c <= '9':
		case bytes.IndexByte([]byte("_()/ .-"), c) >= 0:
		default:
			return c == ':' && i+1 < len(b) && b[i+1] == ' '
		}
	}
	return false
}

func isLetter(c byte) bool {
	c |= 0x20
	return 'a' <= c && c <= 'z'
}

func trimLineEnd(line []byte) []byte {
	n := len(line) - 1
	if n > 0 && line[n-1] == '\r' {
		n--
	}
	return line[:n]
}

// splitHeader splits at the first colon that a blank follows, for names such
// as ChanVariable(SIP/10.0.0.1:5060-0001) hold colons, or at the first colon.
func splitHeader(line []byte) Header {
	i := bytes.IndexByte(line, ':')
	if i < 0 {
		return Header{Value: line}
	}
	if i+1 < len(line) && line[i+1] == ' ' {
		return Header{line[:i], line[i+2:]}
	}
	if j := bytes.Index(line[i:], []byte(": ")); j > 0 {
		return Header{line[:i+j], line[i+j+2:]}
	}
	return Header{line[:i], line[i+1:]}
}
