package natsconn

import (
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// AckTimeout is how long JetStream may take to acknowledge a message, before what
// is not acknowledged is sent again.
const AckTimeout = 5 * time.Second

// ErrNoStream is a message that nobody took.
var ErrNoStream = errors.New("no stream takes the events: is AMI_EVENTS there, and JetStream on?")

// The codes of nats-server's errors (errors.json) that mean more than "try again
// later".
const (
	StreamMessageExceedsMaximum = 10054 // JSStreamMessageExceedsMaximumErr
	StreamNotMatch              = 10060 // JSStreamNotMatchErr: another one took it
	StreamSubjectOverlap        = 10065 // JSStreamSubjectOverlapErr
	StreamWrongLastMsgID        = 10070 // JSStreamWrongLastMsgIDErrF
	StreamWrongLastSequence     = 10071 // JSStreamWrongLastSequenceErrF
	StreamWrongLastConstant     = 10164 // JSStreamWrongLastSequenceConstantErr: another is in process
	BatchPublishDisabled        = 10205 // JSBatchPublishDisabledErr
	BatchPublishInvalidPattern  = 10206 // JSBatchPublishInvalidPatternErr
	BatchPublishUnknownBatch    = 10208 // JSBatchPublishUnknownBatchIDErr
)

// TooLarge reports whether err says that a message is larger than NATS, or the stream, takes.
func TooLarge(err error) bool {
	api, is := errors.AsType[*jetstream.APIError](err)
	return is && api.ErrorCode == StreamMessageExceedsMaximum || errors.Is(err, nats.ErrMaxPayload)
}

// Overtaken reports whether err says that another message is where this one was to be the next.
func Overtaken(err error) bool {
	api, is := errors.AsType[*jetstream.APIError](err)
	return is && (api.ErrorCode == StreamWrongLastSequence || api.ErrorCode == StreamWrongLastConstant)
}

// Refusal is why the stream did not take an event.
type Refusal struct {
	Code        int    `json:"err_code"` // of nats-server's errors.json; 0 if it gives none
	Status      int    `json:"code"`     // as HTTP has it
	Description string `json:"description"`
}

func (r *Refusal) Error() string {
	code := r.Code
	if code == 0 {
		code = r.Status
	}
	return fmt.Sprintf("the stream refused an event: %s (%d)", r.Description, code)
}
