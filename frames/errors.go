package frames

import (
	"errors"
	"fmt"
)

var (
	// ErrFrameTooLarge comes with the Truncated Frame that was over the
	// Reader's limit. The connection is in order: go on reading.
	ErrFrameTooLarge = errors.New("frame over the limit")
	// ErrIllegalHeader is a header that would break the Action's framing, or
	// an Action without one.
	ErrIllegalHeader = errors.New("illegal header")
	// ErrLineTooLong is a header over MaxLine bytes.
	ErrLineTooLong = errors.New("header line too long")
	// ErrTooManyHeaders is an Action of more than MaxHeaders headers.
	ErrTooManyHeaders = errors.New("too many headers")
	// ErrUnencodable is a rune that the Charset of the server does not have.
	ErrUnencodable = errors.New("character not in the server's charset")
)

// snippet is the most of a peer's or a caller's text that an error quotes.
const snippet = 80

// SyntaxError is input that is not AMI at all.
type SyntaxError struct {
	Reason string
	Input  string // its first bytes, 256 at most
}

// Error says what was wrong, quoting 80 bytes of the input.
func (e *SyntaxError) Error() string {
	return fmt.Sprintf("not an AMI banner: %s: %q", e.Reason, e.Input[:min(len(e.Input), snippet)])
}

// HeaderError is a header that AppendAction refused. It never holds the
// header's value, which may be a secret.
type HeaderError struct {
	Key    string // its first bytes, 80 at most; empty if no single header is at fault
	Reason string

	kind error
}

// Error names the header and the reason.
func (e *HeaderError) Error() string {
	if e.Key == "" {
		return fmt.Sprintf("%v: %s", e.kind, e.Reason)
	}
	return fmt.Sprintf("%v: %q: %s", e.kind, e.Key, e.Reason)
}

// Unwrap returns ErrIllegalHeader, ErrLineTooLong or ErrTooManyHeaders.
func (e *HeaderError) Unwrap() error { return e.kind }

func cut(b []byte) string { return string(b[:min(len(b), snippet)]) }
