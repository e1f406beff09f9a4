package bridge

import (
	"errors"
	"fmt"
	"time"
)

// ackTimeout is how long JetStream may take to acknowledge a message, before what
// is not acknowledged is sent again.
const ackTimeout = 5 * time.Second

// errNoStream is a message that nobody took.
var errNoStream = errors.New("no stream takes the events: is AMI_EVENTS there, and JetStream on?")

// The codes of nats-server's errors (errors.json) that mean more than "try again
// later".
const (
	streamMessageExceedsMaximum = 10054 // JSStreamMessageExceedsMaximumErr
	streamWrongLastMsgID        = 10070 // JSStreamWrongLastMsgIDErrF
	batchPublishDisabled        = 10205 // JSBatchPublishDisabledErr
	batchPublishInvalidPattern  = 10206 // JSBatchPublishInvalidPatternErr
	batchPublishUnknownBatch    = 10208 // JSBatchPublishUnknownBatchIDErr
)

// refusal is why the stream did not take an event.
type refusal struct {
	Code        int    `json:"err_code"` // of nats-server's errors.json; 0 if it gives none
	Status      int    `json:"code"`     // as HTTP has it
	Description string `json:"description"`
}

func (r *refusal) Error() string {
	code := r.Code
	if code == 0 {
		code = r.Status
	}
	return fmt.Sprintf("the stream refused an event: %s (%d)", r.Description, code)
}
