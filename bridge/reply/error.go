package reply

import (
	"errors"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/ami-nats-bridge/ami-nats-bridge/correlation"
	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
)

// Error is why an Action has no good answer: the error of a reply.
type Error struct {
	Code       int    `json:"code"`
	Kind       Kind   `json:"kind"`
	Sent       string `json:"sent"`
	RetryAfter int64  `json:"retry_after_ms,omitempty"`
	Message    string `json:"message,omitempty"`

	Rule string `json:"-"` // that refuses, for the audit
}

const (
	tooLarge        = "the reply does not fit one message: ask for a stream (Ami-Reply: stream)"
	tooLargeForNATS = "the reply, or a part of it, is larger than NATS takes (max_payload)"
	tooManyHeld     = "too many replies of this server wait: ask again later, or for a stream (Ami-Reply: stream)"
	frameTooLarge   = "one message of Asterisk in it is over BRIDGE_AMI_MAX_FRAME_BYTES: ask for a stream (Ami-Reply: stream), " +
		"which has a Command's output of any length, or raise the limit"
	pieceTooLarge = "one line or one event of it is over BRIDGE_AMI_MAX_FRAME_BYTES: raise the limit"
	partTooLarge  = "a part of the reply does not fit one message"
	partRefused   = "NATS took the parts of the reply too slowly: ask again, or for less"
)

// whyTooLarge says what to do about a reply that is too large.
func whyTooLarge(r *correlation.Result) string {
	streamed, cut := r.Part != nil, errors.Is(r.Cause, frames.ErrFrameTooLarge)
	switch {
	case streamed && cut:
		return pieceTooLarge
	case cut:
		return frameTooLarge
	case streamed && errors.Is(r.Cause, correlation.ErrPartRefused):
		return partRefused
	case errors.Is(r.Cause, correlation.ErrTableFull):
		return tooManyHeld
	case streamed:
		return partTooLarge
	}
	return tooLarge
}

// ErrorOf returns what r's outcome means to the caller, nil for an answer.
func ErrorOf(r *correlation.Result) *Error {
	f := &Error{Sent: r.Sent.String()}
	switch r.Outcome {
	case correlation.Answered:
		return nil
	case correlation.AsteriskError:
		f.Code, f.Kind, f.Message = 422, KindAsteriskError, "Asterisk refused or failed it"
	case correlation.TooLarge:
		f.Code, f.Kind, f.Message = 413, KindTooLarge, whyTooLarge(r)
		return f
	case correlation.TimedOut:
		f.Code, f.Kind, f.Message = 504, KindTimeout, "no complete answer in time"
		if errors.Is(r.Cause, correlation.ErrUnnamed) {
			f.Message = "no answer that is surely to this"
		}
	case correlation.ConnectionLost:
		f.Code, f.Kind, f.Message = 502, KindConnectionLost, "the session ended before the answer"
	case correlation.NotSent:
		f.Code, f.Kind, f.Message = 503, KindNotConnected, "the session ended before it was written"
	default:
		f.Code, f.Kind, f.Message = 503, KindShuttingDown, "the bridge stopped before the answer"
	}
	if r.Cause != nil {
		f.Message += ": " + r.Cause.Error()
	}
	return f
}

// text is the error in the header of a reply: NATS wants one line.
func (f *Error) text() string { return string(f.Kind) + ": " + f.Message }

// setError puts f where NATS services have it (ADR-32).
func (f *Error) setError(msg *nats.Msg) {
	msg.Header.Set("Nats-Service-Error", f.text())
	msg.Header.Set("Nats-Service-Error-Code", strconv.Itoa(f.Code))
}

// BadRequest is the refusal of a request that is wrong, as err says.
func BadRequest(err error) *Error {
	return &Error{Code: 400, Kind: KindBadRequest, Sent: "no", Message: err.Error()}
}

// BusyRetry is the retry_after_ms when buffers are full: about the time in
// which a healthy Asterisk answers a hundred Actions.
const BusyRetry = 100 * time.Millisecond

// Busy is the refusal for want of room.
func Busy(message string) *Error {
	return &Error{Code: 429, Kind: KindBusy, Sent: "no", RetryAfter: BusyRetry.Milliseconds(), Message: message}
}
