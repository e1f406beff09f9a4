package frames

import (
	"bytes"
	"fmt"
	"io"
)

const (
	// MaxLine is the longest header in bytes, without its line end, that
	// Asterisk takes (manager.c get_input: inbuf holds 1025). It discards the
	// whole message of a longer one.
	MaxLine = 1022
	// MaxHeaders is how many headers Asterisk takes in one Action (manager.h
	// AST_MAX_MANHEADERS).
	MaxHeaders = 128
)

// AppendAction appends a whole Action, closing blank line included, to dst.
// Values are wire bytes already (see Charset.AppendText). It refuses, with a
// *HeaderError and dst as it was, whatever Asterisk would read as something
// else: AMI has no escaping, so a line end inside a header would start another.
func AppendAction(dst []byte, headers []Header) ([]byte, error) {
	switch {
	case len(headers) == 0:
		return dst, &HeaderError{Reason: "no headers at all", kind: ErrIllegalHeader}
	case len(headers) > MaxHeaders:
		reason := fmt.Sprintf("%d, Asterisk takes %d", len(headers), MaxHeaders)
		return dst, &HeaderError{Reason: reason, kind: ErrTooManyHeaders}
	}
	for i := range headers {
		if err := checkHeader(&headers[i]); err != nil {
			return dst, err
		}
	}
	for i := range headers {
		dst = append(dst, headers[i].Key...)
		dst = append(dst, ": "...)
		dst = append(dst, headers[i].Value...)
		dst = append(dst, "\r\n"...)
	}
	return append(dst, "\r\n"...), nil
}

// AppendEvent appends a frame as Asterisk writes an event, closing blank line
// included, to dst; a Header without a Key is a line of its own. It refuses, with
// a *HeaderError and dst as it was, what a Reader would read as something else.
func AppendEvent(dst []byte, headers []Header) ([]byte, error) {
	out := dst
	for i := range headers {
		h := &headers[i]
		switch {
		case i == 0 && (!equalFold(h.Key, "Event") || bytes.IndexByte(h.Value, '\n') >= 0):
			return dst, &HeaderError{cut(h.Key), "is no name of an event", ErrIllegalHeader}
		case h.Key == nil && (len(h.Value) == 0 || bytes.IndexByte(h.Value, ':') >= 0):
			return dst, &HeaderError{"", "a line without a name is empty, or holds a colon", ErrIllegalHeader}
		case h.Key != nil && (len(h.Key) == 0 || bytes.ContainsAny(h.Key, "\r\n") || bytes.Contains(h.Key, []byte(": "))):
			return dst, &HeaderError{cut(h.Key), "name is empty, or holds a colon and a blank, CR or LF", ErrIllegalHeader}
		case endsLine(h.Value):
			return dst, &HeaderError{cut(h.Key), "value holds a line end", ErrIllegalHeader}
		}
		if h.Key != nil {
			out = append(append(out, h.Key...), ": "...)
		}
		out = append(append(out, h.Value...), "\r\n"...)
	}
	if len(headers) == 0 {
		return dst, &HeaderError{Reason: "no headers at all", kind: ErrIllegalHeader}
	}
	return append(out, "\r\n"...), nil
}

// endsLine reports whether value would be read as more than one header. An LF
// alone does not end a line of an event.
func endsLine(value []byte) bool {
	for rest := value; ; {
		i := bytes.IndexByte(rest, '\n')
		if i < 0 {
			return bytes.HasSuffix(value, []byte("\r"))
		}
		if i > 0 && rest[i-1] == '\r' || beginsHeader(rest[i+1:]) {
			return true
		}
		rest = rest[i+1:]
	}
}

func checkHeader(h *Header) error {
	switch {
	case len(h.Key) == 0:
		return &HeaderError{Reason: "empty name", kind: ErrIllegalHeader}
	case bytes.ContainsAny(h.Key, ":\r\n\x00"):
		return &HeaderError{cut(h.Key), "name holds a colon, CR, LF or NUL", ErrIllegalHeader}
	case bytes.ContainsAny(h.Value, "\r\n\x00"):
		return &HeaderError{cut(h.Key), "value holds a CR, LF or NUL", ErrIllegalHeader}
	}
	if n := len(h.Key) + len(": ") + len(h.Value); n > MaxLine {
		reason := fmt.Sprintf("%d bytes, Asterisk takes %d", n, MaxLine)
		return &HeaderError{cut(h.Key), reason, ErrLineTooLong}
	}
	return nil
}

// WriteChunks writes p to w in calls of at most size bytes, or in one call if
// size is 0 or less, and returns how many bytes were written. On TLS size must
// be about 1000: Asterisk reads at most 1024 bytes of a record before it waits
// for the socket again (manager.c get_input does not ask SSL_pending), so a
// longer record stalls.
func WriteChunks(w io.Writer, p []byte, size int) (int, error) {
	if size <= 0 {
		size = len(p)
	}
	written := 0
	for written < len(p) {
		chunk := p[written:min(written+size, len(p))]
		n, err := w.Write(chunk)
		written += n
		if err != nil {
			return written, err
		}
		if n < len(chunk) {
			return written, io.ErrShortWrite
		}
	}
	return written, nil
}
