package frames

import (
	"bytes"
	"errors"
	"io"
)

const (
	// firstBuffer serves a thousand quiet sessions cheaply. It doubles with each read
	// that fills it, up to minBuffer, which reads some forty events a call on a busy one.
	firstBuffer = 512
	minBuffer   = 16 << 10
	// minFrame holds a first line that tells an old Command from a frame.
	minFrame = 64
	// headBytes is how much of a frame over the limit is looked at.
	headBytes = 4 << 10
	// keptHeaders is the room for headers that outlives a large frame.
	keptHeaders = 1 << 10
	// quietReads is how many reads in a row must fit a smaller buffer before one
	// that grew is given back for it.
	quietReads = 32
	// emptyReads in a row without bytes or error are io.ErrNoProgress.
	emptyReads = 100
)

// mode is how a frame's lines end, and so the frame. Its first line decides.
type mode uint8

const (
	modeUnknown mode = iota // the first line is not complete yet
	modeCRLF                // in CRLF, as Asterisk writes; at an empty line, which may be a bare LF
	modeLF                  // in LF, for a server that knows no CRLF; at the first empty line
	modeCommand             // at the marker of an old Command
)

// Stats counts what a Reader has met.
type Stats struct {
	Bytes    uint64 // read from the connection
	Frames   uint64 // returned whole
	Blank    uint64 // stray empty lines between frames
	TooLarge uint64 // frames over the limit
}

// Reader reads Frames from one connection. It is for one goroutine.
type Reader struct {
	src   io.Reader
	max   int
	buf   []byte
	start int // buf[start:end] is received and not consumed
	end   int
	err   error // came with the last bytes, kept until they are consumed
	quiet int   // reads in a row that a smaller buffer could have taken

	// The frame that begins at start, as far as it was looked at. Offsets
	// count from start, so that the buffer may move.
	mode      mode
	modeKnown bool  // a line has said what it is
	bareLF    bool  // some line holds an LF of its own
	line      int   // where the line being searched begins
	seen      int   // where the search goes on
	ends      []int // where each complete line ends

	wanted func(*Frame) bool // see Split
	split  bool              // pieces of the frame were handed out

	dropping bool   // the frame is over the limit
	dropped  int    // bytes of it already given up
	head     []byte // its first bytes

	frame Frame
	stats Stats
}

// NewReader returns a Reader of src, which it never closes. A frame of more
// than maxFrame bytes, line ends included, is discarded; maxFrame counts as 64
// at least. The Reader holds at most about maxFrame bytes and, for a frame of
// many short lines, the list of its headers.
func NewReader(src io.Reader, maxFrame int) *Reader {
	return &Reader{src: src, max: max(maxFrame, minFrame), buf: make([]byte, firstBuffer)}
}

// Stats returns what was counted so far. Only the goroutine that calls Next
// may call it.
func (r *Reader) Stats() Stats { return r.stats }

// Next returns the next Frame, which is valid until the following call, also
// when that fails. Stray blank lines before it are dropped and counted.
//
// A frame over the limit comes as a Truncated one with ErrFrameTooLarge, once
// its end is found; the next call goes on with the frame after it. At the end
// of input the error is io.EOF between frames and io.ErrUnexpectedEOF inside
// one, of which nothing is returned: Asterisk cuts its last frame when a
// client was too slow. Other errors are those of the io.Reader; after a
// timeout Next can be called again and loses nothing.
func (r *Reader) Next() (*Frame, error) {
	for {
		if f, err := r.received(); f != nil {
			return f, err
		}
		if err := r.fill(); err != nil {
			return nil, r.atEOF(err)
		}
	}
}

// received returns the frame at start, nil if more bytes are needed.
func (r *Reader) received() (*Frame, error) {
	if r.dropping {
		if !r.drop() {
			return nil, nil
		}
		return r.tooLarge(r.head, r.dropped)
	}
	if r.seen == 0 && !r.split {
		if headers, size := r.usual(); size > 0 {
			return r.take(headers, size), nil
		}
	}
	size := r.scan()
	switch {
	case size > r.max && !r.splits():
		head := r.buf[r.start : r.start+r.headLen()]
		r.start += size
		return r.tooLarge(head, size)
	case size > 0:
		return r.take(r.headers(r.buf[r.start:r.start+size]), size), nil
	case r.end-r.start < r.max:
		return nil, nil
	case r.splits():
		if f := r.takePiece(); f != nil {
			return f, nil
		}
	}
	r.beginDrop()
	return nil, nil
}

// scan looks for the end of the frame at start and returns its size, or 0 if
// more bytes are needed. No byte is looked at twice.
func (r *Reader) scan() int {
	b := r.buf[r.start:r.end]
	line, seen := r.line, r.seen
	for r.mode != modeCommand {
		i := bytes.IndexByte(b[seen:], '\n')
		if i < 0 {
			r.line, r.seen = line, len(b)
			return 0
		}
		i += seen
		seen = i + 1
		if i == line || i == line+1 && b[line] == '\r' {
			if line > 0 || r.split {
				return seen
			}
			r.stats.Blank++
			r.start += seen
			b, seen = b[seen:], 0
			continue
		}
		if b[i-1] != '\r' {
			if r.mode == modeCRLF {
				r.bareLF = true
				continue
			}
			r.mode = modeLF
		} else if r.mode == modeUnknown {
			r.mode = modeCRLF
		}
		if !r.modeKnown {
			r.detectMode(b[line:seen], seen)
		}
		line = seen
		r.ends = append(r.ends, line)
	}
	r.line = line
	r.seen = max(r.seen, line)
	return r.scanCommand(b)
}

// take returns the complete frame of size bytes at start, which has those headers.
func (r *Reader) take(headers []Header, size int) *Frame {
	r.frame = Frame{Headers: headers, Size: size, Raw: r.buf[r.start : r.start+size], Continues: r.split}
	r.start += size
	r.stats.Frames++
	r.forget()
	return &r.frame
}

// headers splits b, a frame or the beginning of one.
func (r *Reader) headers(b []byte) []Header {
	h := r.frame.Headers[:0]
	if r.mode == modeCommand {
		return appendCommand(h, b, r.split)
	}
	h = appendLines(h, b, r.ends)
	if r.bareLF {
		h = splitGlued(h)
	}
	return h
}

// forget makes ready for the frame after this one.
func (r *Reader) forget() {
	r.mode, r.modeKnown, r.bareLF, r.line, r.seen, r.ends = modeUnknown, false, false, 0, 0, r.ends[:0]
	r.split, r.dropping, r.dropped = false, false, 0
}

// fill reads once into the free part of the buffer, making room first.
func (r *Reader) fill() error {
	if err := r.err; err != nil {
		r.err = nil
		return err
	}
	r.makeRoom()
	for range emptyReads {
		n, err := r.src.Read(r.buf[r.end:])
		r.end += n
		r.stats.Bytes += uint64(n)
		if n > 0 {
			r.err = err
			return nil
		}
		if err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}

// Rest has the next call of Next give back what grew, for who calls it knows that the
// connection is quiet. The frame that was returned stays valid until then.
func (r *Reader) Rest() { r.quiet = quietReads }

// makeRoom moves the incomplete frame to the front of the buffer, grows the
// buffer when that fills it, and gives a grown one back when it is no longer
// needed.
func (r *Reader) makeRoom() {
	held := r.end - r.start
	small := r.end < firstBuffer // what the last read came with, and what was held before it
	switch {
	case small && len(r.buf) > firstBuffer, held < minBuffer && len(r.buf) > minBuffer:
		if r.quiet++; r.quiet < quietReads {
			break
		}
		r.quiet = 0
		if small {
			r.replace(firstBuffer)
		} else {
			r.replace(minBuffer)
		}
		r.ends = append([]int(nil), r.ends...)
		if small || cap(r.frame.Headers) > keptHeaders {
			r.frame.Headers = nil
		}
	case held == len(r.buf), r.end == len(r.buf) && len(r.buf) < minBuffer:
		r.replace(max(min(2*len(r.buf), minBuffer), min(2*held, r.max)))
		fallthrough
	default:
		r.quiet = 0
	}
	if r.start > 0 {
		copy(r.buf, r.buf[r.start:r.end])
		r.start, r.end = 0, held
	}
}

func (r *Reader) replace(size int) {
	buf := make([]byte, size)
	r.end = copy(buf, r.buf[r.start:r.end])
	r.start, r.buf = 0, buf
}

// atEOF tells an end of input between frames from one inside a frame.
func (r *Reader) atEOF(err error) error {
	if errors.Is(err, io.EOF) && (r.end > r.start || r.split || r.dropping) {
		return io.ErrUnexpectedEOF
	}
	return err
}
