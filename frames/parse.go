package frames

import (
	"bytes"
	"slices"
)

// appendLines appends the header of each line of b.
func appendLines(dst []Header, b []byte, ends []int) []Header {
	n := len(dst)
	dst = slices.Grow(dst, len(ends))[:n+len(ends)]
	bracket := bracketIn(b, 0)
	start := 0
	for i, end := range ends {
		line := trimLineEnd(b[start:end])
		colon := bytes.IndexByte(line, ':')
		if bracket < end {
			if start+colon > bracket {
				colon = outside(line, colon)
			}
			bracket = bracketIn(b, end)
		}
		start = end
		// Written field by field: a Header that is copied whole right after
		// its fields were set costs twice the time.
		h := &dst[n+i]
		switch {
		case colon < 0:
			h.Key, h.Value = nil, line
		case colon+1 < len(line) && line[colon+1] == ' ':
			h.Key, h.Value = line[:colon], line[colon+2:]
		default:
			h.Key, h.Value = line[:colon], line[colon+1:]
		}
	}
	return dst
}

// bracketIn returns where the first round bracket of b is, not before from; the
// length of b if there is none.
func bracketIn(b []byte, from int) int {
	if i := bytes.IndexByte(b[from:], '('); i >= 0 {
		return from + i
	}
	return len(b)
}

func trimLineEnd(line []byte) []byte {
	n := len(line) - 1
	if n > 0 && line[n-1] == '\r' {
		n--
	}
	return line[:n]
}

// splitHeader splits a line at its first colon outside round brackets and drops
// one blank behind it. A line without one has no name.
func splitHeader(line []byte) Header {
	colon := bytes.IndexByte(line, ':')
	if colon > 0 {
		colon = outside(line, colon)
	}
	if colon < 0 {
		return Header{Value: line}
	}
	return Header{line[:colon], bytes.TrimPrefix(line[colon+1:], []byte(" "))}
}

// outside returns the first colon of line, not before the one at first, that no
// pair of round brackets holds, or -1: up to Asterisk 11 a name may be
// ChanVariable(SIP/10.0.0.1:5060-0001). A bracket without its other half is a
// character like any other. It looks at each byte once.
func outside(line []byte, first int) int {
	if bytes.IndexByte(line[:first], '(') < 0 {
		return first
	}
	colon, depth, open := -1, 0, 0 // open brackets: at all, and around colon
	for i, c := range line {
		switch c {
		case '(':
			depth++
		case ')':
			depth = max(0, depth-1)
			if depth < open {
				colon, open = -1, 0
			}
		case ':':
			if colon < 0 {
				colon, open = i, depth
			}
			if open == 0 {
				return colon
			}
		}
	}
	return colon
}

// glued are the headers that Asterisk itself ends in a bare LF. Anywhere else an
// LF is a part of the value, for callers' texts hold some.
var glued = []struct{ event, header, next string }{
	{"Agents", "CallStarted", "LoggedInTime"}, // apps/app_agent_pool.c action_agents, 12 to master
	{"MiniVoiceMail", "Action", "Mailbox"},    // apps/app_minivm.c notify_new_message, up to 11
}

// splitGlued splits those headers in two.
func splitGlued(headers []Header) []Header {
	f := Frame{Headers: headers}
	for _, g := range glued {
		if f.Kind() != KindEvent || string(f.Name()) != g.event {
			continue
		}
		for i := range headers {
			value := headers[i].Value
			at := bytes.IndexByte(value, '\n')
			if at < 0 || string(headers[i].Key) != g.header || !bytes.HasPrefix(value[at+1:], []byte(g.next+":")) {
				continue
			}
			headers[i].Value = value[:at]
			return slices.Insert(headers, i+1, splitHeader(value[at+1:]))
		}
	}
	return headers
}
