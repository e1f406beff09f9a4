package frames

import "bytes"

// Asterisk before 14 answered Command in a format of its own (manager.c
// action_command): Response: Follows, two headers, then the raw output of the
// command line with any blank line or colon in it, then a marker, which need
// not begin a line.
const commandMarker = "--END COMMAND--\r\n\r\n"

// outputKey names the header that Asterisk 14 and later give each line.
var outputKey = []byte("Output")

// detectMode looks at a line, which ends at end, until one says what the frame is.
func (r *Reader) detectMode(line []byte, end int) {
	if len(line) > len("Event:") && line[len("Event")] == ':' && equalFold(line[:len("Event")], "Event") {
		r.modeKnown = true // as good as always
		return
	}
	h := splitHeader(trimLineEnd(line))
	if equalFold(h.Key, "Response") {
		r.modeKnown = true
		// The rest of a frame over the limit is not looked at.
		if r.mode == modeCRLF && end <= r.max && string(h.Value) == "Follows" {
			r.mode = modeCommand
		}
	}
	r.modeKnown = r.modeKnown || h.Key == nil
}

// scanCommand is scan for the rest of an old Command's reply.
func (r *Reader) scanCommand(b []byte) int {
	if size := commandEnd(b[r.seen:]); size > 0 {
		return r.seen + size
	}
	r.seen = max(r.seen, len(b)-len(commandMarker)+1)
	return 0
}

func commandEnd(b []byte) int {
	i := bytes.Index(b, []byte(commandMarker))
	if i < 0 {
		return 0
	}
	return i + len(commandMarker)
}

// appendCommand appends the headers of an old Command's reply, each line of its
// output as an Output header; of one that continues there is nothing else. Of a
// reply that was cut, which lacks the marker, the last line is left out unless
// complete.
func appendCommand(dst []Header, b []byte, continues bool) []Header {
	b, whole := bytes.CutSuffix(b, []byte(commandMarker))
	answered := false
	for n := 0; !continues; n++ {
		i := bytes.Index(b, []byte("\r\n"))
		if i < 0 {
			break
		}
		h := splitHeader(b[:i])
		if answered && !isCommandHeader(dst[len(dst)-n:], h.Key) {
			break
		}
		answered = answered || equalFold(h.Key, "Response")
		dst = append(dst, h)
		b = b[i+2:]
	}
	for len(b) > 0 {
		line, rest, found := bytes.Cut(b, []byte("\n"))
		if !found && !whole {
			break
		}
		if n := len(line); n > 0 && line[n-1] == '\r' {
			line = line[:n-1]
		}
		dst = append(dst, Header{outputKey, line})
		b = rest
	}
	return dst
}

// isCommandHeader reports whether key is one that precedes the output, and not
// the second of its name: then the output itself begins like a header.
func isCommandHeader(before []Header, key []byte) bool {
	for i := range before {
		if bytes.EqualFold(before[i].Key, key) {
			return false
		}
	}
	return equalFold(key, "Privilege") || equalFold(key, "ActionID") || equalFold(key, "Message")
}
