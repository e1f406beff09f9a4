package frames

import "bytes"

// Split has each Response over the limit handed out in pieces of about the limit,
// instead of discarded, if wanted says so of its beginning: a Truncated Frame that
// is valid during the call. Every piece but the last has More, every one but the
// first Continues, and no line is cut: one that is over the limit by itself ends
// the Response with a Truncated piece and ErrFrameTooLarge. Call it before Next.
func (r *Reader) Split(wanted func(head *Frame) bool) { r.wanted = wanted }

// splits reports whether the frame at start, which is over the limit, comes in
// pieces.
func (r *Reader) splits() bool {
	if r.split || r.wanted == nil {
		return r.split
	}
	ends := r.ends
	r.ends = within(ends, r.headLen())
	head := Frame{Headers: r.headers(r.buf[r.start : r.start+r.headLen()]), Truncated: true}
	r.ends = ends
	return head.Kind() == KindResponse && r.wanted(&head)
}

// takePiece returns the complete lines of the frame at start, nil if there is
// none.
func (r *Reader) takePiece() *Frame {
	size := r.line
	if r.mode == modeCommand {
		// No marker begins before seen.
		size = bytes.LastIndexByte(r.buf[r.start:r.start+r.seen], '\n') + 1
	}
	if size == 0 {
		return nil
	}
	r.frame = Frame{
		Headers: r.headers(r.buf[r.start : r.start+size]), Size: size, More: true, Continues: r.split,
	}
	r.start += size
	r.line, r.seen, r.ends, r.split = 0, r.seen-size, r.ends[:0], true
	return &r.frame
}

// within returns those of ends that are at most size.
func within(ends []int, size int) []int {
	n := 0
	for n < len(ends) && ends[n] <= size {
		n++
	}
	return ends[:n]
}
