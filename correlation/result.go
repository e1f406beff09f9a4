package correlation

import (
	"strings"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
)

// Outcome is how a Call ended.
type Outcome uint8

const (
	_ Outcome = iota // no Call ends in success by default
	// Answered is a whole reply that is not an Error.
	Answered
	// AsteriskError is Response Error, a list that Asterisk broke off, or an
	// OriginateResponse that says Failure. The Result holds all that came.
	AsteriskError
	// TooLarge is a complete reply over Limits, or with a Truncated frame in
	// it. It was not kept.
	TooLarge
	// TimedOut is a Call that was not complete after its Timeout, or that has
	// ended by Unnamed.
	TimedOut
	// ConnectionLost is a Call whose session ended after it was written.
	ConnectionLost
	// NotSent is a Call whose session ended before it was written, or that was withdrawn.
	NotSent
	// ShuttingDown is a Call that the bridge's own end cut short.
	ShuttingDown
)

// String returns the Outcome in snake case, as metrics name it.
func (o Outcome) String() string {
	switch o {
	case Answered:
		return "answered"
	case AsteriskError:
		return "asterisk_error"
	case TooLarge:
		return "too_large"
	case TimedOut:
		return "timed_out"
	case ConnectionLost:
		return "connection_lost"
	case NotSent:
		return "not_sent"
	case ShuttingDown:
		return "shutting_down"
	}
	return "none"
}

// SentState says whether an Action reached Asterisk.
type SentState uint8

const (
	// SentNo is certain: not one byte was written.
	SentNo SentState = iota
	// SentYes is certain: Asterisk said something about it.
	SentYes
	// SentUnknown is an Action that was given to the connection and of which
	// Asterisk said nothing.
	SentUnknown
)

// String returns "no", "yes" or "unknown".
func (s SentState) String() string {
	switch s {
	case SentNo:
		return "no"
	case SentYes:
		return "yes"
	}
	return "unknown"
}

// Result is the end of a Call. It belongs to the receiver of Done, who must
// call Release once the reply is published; until then its bytes and its slot
// count against Limits.
type Result struct {
	Call
	Outcome Outcome
	Sent    SentState
	// Cause says why a Call ended that Asterisk did not end: what FailSession
	// FailAll or Withdraw were given, ErrCancelled, ErrOriginateFailed or ErrUnnamed; if it is
	// TooLarge frames.ErrFrameTooLarge, ErrReplyFull, ErrTableFull or
	// ErrPartRefused. It may be nil.
	Cause error

	// Response and Message are those of the last Response, empty if there was
	// none.
	Response, Message string
	// Fields is that Response as a JSON object, Output left out; nil if there
	// was none.
	Fields []byte
	// Events are JSON objects separated by commas, EventCount of them, in the
	// order in which they came. The event that completed a list is the last of
	// them, for it carries totals, and so is an awaited OriginateResponse. If
	// Outcome is not Answered they may be a part of the list.
	Events     []byte
	EventCount int
	// Output are the lines of a Command, or of an Action that answers in plain
	// text, JSON strings separated by commas,
	// OutputLines of them.
	Output      []byte
	OutputLines int
	// Parts is how many Parts were handed out and taken. EventCount and
	// OutputLines then count what was in them.
	Parts int
	// Duration is the time from Register on.
	Duration time.Duration

	table    *Table
	held     int // bytes counted in Table.bytes
	released bool
}

// Release gives the slot and the bytes back. Fields, Events and Output are gone
// after it. A second call does nothing. It is safe for concurrent use.
func (r *Result) Release() {
	t := r.table
	t.mu.Lock()
	defer t.mu.Unlock()
	if r.released {
		return
	}
	r.released = true
	r.drop()
	t.held--
}

// drop forgets the body. The Table's lock is held.
func (r *Result) drop() {
	r.Fields, r.Events, r.Output = nil, nil, nil
	r.table.bytes -= r.held
	r.held = 0
}

// body is the size of what is kept in bytes.
func (r *Result) body() int {
	return len(r.Fields) + len(r.Events) + len(r.Output) + len(r.Response) + len(r.Message)
}

// memory is what the body occupies in bytes.
func (r *Result) memory() int {
	return cap(r.Fields) + cap(r.Events) + cap(r.Output) + len(r.Response) + len(r.Message)
}

// text turns wire bytes into a string. What is no text in c becomes U+FFFD;
// it is counted where the same bytes become JSON.
func text(b []byte, c frames.Charset) string {
	if c != frames.Latin1 {
		return strings.ToValidUTF8(string(b), "\uFFFD")
	}
	var s strings.Builder
	s.Grow(len(b))
	for _, x := range b {
		s.WriteRune(rune(x))
	}
	return s.String()
}
