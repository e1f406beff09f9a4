package frames

import "bytes"

// headLen is how much of a frame over the limit its Truncated Frame is made of.
func (r *Reader) headLen() int { return min(headBytes, r.max) }

// tooLarge returns the Truncated Frame of a frame that had size bytes.
func (r *Reader) tooLarge(head []byte, size int) (*Frame, error) {
	r.ends = within(r.ends, len(head))
	r.frame = Frame{Headers: r.headers(head), Size: size, Truncated: true, Continues: r.split}
	r.stats.TooLarge++
	r.forget()
	return &r.frame, ErrFrameTooLarge
}

// beginDrop keeps the head of the frame at start and gives up the rest, but
// for the line end before the line that is incomplete, which may turn out to
// be the first half of the frame's end.
func (r *Reader) beginDrop() {
	r.dropping = true
	r.head = append(r.head[:0], r.buf[r.start:r.start+r.headLen()]...)
	from := max(0, r.line-len("\r\n"))
	if r.mode == modeCommand {
		from = r.seen
	}
	r.start += from
	r.dropped = from
	r.drop()
}

// drop gives up what was received of a frame over the limit and reports
// whether that was all of it.
func (r *Reader) drop() (done bool) {
	b := r.buf[r.start:r.end]
	if i := bytes.IndexByte(b, '\n'); r.mode == modeUnknown && i > 0 {
		r.mode = modeLF
		if b[i-1] == '\r' {
			r.mode = modeCRLF
		}
	}
	var size, keep int
	switch r.mode {
	case modeCommand:
		size, keep = commandEnd(b), len(commandMarker)-1
	default:
		size, keep = emptyLine(b, r.mode), len("\r\n\r")
	}
	if done = size > 0; !done {
		size = max(0, len(b)-keep)
	}
	r.start += size
	r.dropped += size
	return done
}

// emptyLine returns where the first empty line of b ends, 0 if there is none:
// what scan finds, for a b that begins anywhere in a frame.
func emptyLine(b []byte, m mode) int {
	for at := 0; ; {
		i := bytes.IndexByte(b[at:], '\n')
		if i < 0 {
			return 0
		}
		at += i + 1
		if m != modeLF && (at < 2 || b[at-2] != '\r') {
			continue
		}
		if rest := b[at:]; bytes.HasPrefix(rest, []byte("\n")) {
			return at + 1
		} else if bytes.HasPrefix(rest, []byte("\r\n")) {
			return at + 2
		}
	}
}
