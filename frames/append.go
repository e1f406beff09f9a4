package frames

import (
	"bytes"
	"fmt"
	"io"
	"slices"
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
	if f := (Frame{Headers: headers}); f.Kind() != KindEvent {
		return dst, &HeaderError{Reason: "no header Event says that it is one", kind: ErrIllegalHeader}
	}
	if len(splitGlued(slices.Clone(headers))) > len(headers) {
		return dst, &HeaderError{Reason: "a value would be read as two headers", kind: ErrIllegalHeader}
	}
	out := dst
	for i := range headers {
		h := &headers[i]
		start := len(out)
		if h.Key != nil {
			out = append(append(out, h.Key...), ": "...)
		}
		out = append(out, h.Value...)
		if reason := misread(out[start:], h, i == 0); reason != "" {
			return dst, &HeaderError{cut(h.Key), reason, ErrIllegalHeader}
		}
		out = append(out, "\r\n"...)
	}
	return append(out, "\r\n"...), nil
}

// misread says why line would not be read as h again, or nothing. An LF alone
// ends no line but the first, whose end says how all others end, and one that is
// empty.
func misread(line []byte, h *Header, first bool) (reason string) {
	switch reread := splitHeader(line); {
	case h.Key != nil && (len(h.Key) == 0 || bytes.IndexByte(h.Key, '\n') >= 0):
		return "name is empty, or holds LF"
	case len(line) == 0, line[0] == '\n':
		return "a line without a name is empty"
	case bytes.Contains(line, []byte("\r\n")), line[len(line)-1] == '\r', first && bytes.IndexByte(line, '\n') >= 0:
		return "it holds a line end"
	case (reread.Key == nil) != (h.Key == nil), !bytes.Equal(reread.Key, h.Key):
		return "the name would be read as another"
	}
	return ""
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
