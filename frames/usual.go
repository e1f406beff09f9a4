package frames

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"slices"
)

// window is how much of a line is looked at in one go: most of them fit.
const window = 32

// usual returns the headers and the size of the frame at start, which was not looked
// at yet, if it is an Event like nearly all: here as a whole, each line ended by CRLF,
// each name plain up to its colon. Of any other the size is 0, and scan has it. It takes
// three quarters of the time of scan and headers, for it looks at a line once.
func (r *Reader) usual() (headers []Header, size int) {
	// Behind end are bytes from before, so that a window may pass the end.
	b, held := r.buf[r.start:], r.end-r.start
	headers = r.frame.Headers[:cap(r.frame.Headers)]
	start := 0
	for n := 0; start+window <= len(b); n++ {
		w := b[start : start+window]
		first, second := binary.LittleEndian.Uint64(w), binary.LittleEndian.Uint64(w[8:])
		end, colon := 0, 0
		if low, high := lineEnd(first), lineEnd(second); low|high != 0 {
			end = lowest(low, high)
		} else if low, high := lineEnd(binary.LittleEndian.Uint64(w[16:])), lineEnd(binary.LittleEndian.Uint64(w[24:])); low|high != 0 {
			end = 16 + lowest(low, high)
		} else {
			end = window + lineEndIn(b[start+window:])
		}
		if start+end >= min(held, r.max) {
			return nil, 0
		}
		if low, high := nameEnd(first), nameEnd(second); low|high != 0 {
			colon = lowest(low, high)
		} else {
			colon = nameEndIn(w)
		}
		line := b[start : start+end]
		if end == 1 && line[0] == '\r' && n > 0 {
			return headers[:n], start + end + 1
		}
		if colon >= end || line[colon] != ':' || line[end-1] != '\r' {
			return nil, 0
		}
		if n == 0 && string(line[:colon]) != "Event" {
			return nil, 0
		}
		if n == len(headers) {
			headers = slices.Grow(headers, 16)
			headers = headers[:cap(headers)]
		}
		value := colon + 1
		if line[value] == ' ' {
			value++
		}
		h := &headers[n]
		h.Key, h.Value = line[:colon], line[value:end-1]
		start += end + 1
	}
	return nil, 0
}

// lineEndIn returns where the first LF of b is, or its length.
func lineEndIn(b []byte) int {
	if i := bytes.IndexByte(b, '\n'); i >= 0 {
		return i
	}
	return len(b)
}

// nameEndIn returns where the name that w begins with ends, which is over 16 bytes; the length
// of w if that is not in it.
func nameEndIn(w []byte) int {
	low, high := nameEnd(binary.LittleEndian.Uint64(w[16:])), nameEnd(binary.LittleEndian.Uint64(w[24:]))
	if low|high == 0 {
		return window
	}
	return 16 + lowest(low, high)
}

// lineEnd has no bit set below the highest of the first byte of w that is an LF, and
// that one; 0 if there is none.
func lineEnd(w uint64) uint64 {
	w ^= '\n' * lows
	return (w - lows) & ^w & highs
}

// nameEnd is the same of a colon and of what is in no usual name: controls, blanks,
// brackets, and more that costs nothing to leave to scan.
func nameEnd(w uint64) uint64 {
	return ((w - '+'*lows) | ((w ^ ':'*lows) - lows)) & highs
}

// lowest returns which of sixteen bytes has the first bit of low, or else of high.
func lowest(low, high uint64) int {
	at := bits.TrailingZeros64(low) / 8
	if low == 0 {
		at = 8 + bits.TrailingZeros64(high)/8
	}
	return at
}
