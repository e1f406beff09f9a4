package streams

import (
	"context"
	"errors"

	"github.com/nats-io/nats.go/jetstream"
)

// LastOn returns the last message on subject that the stream of events holds,
// nil without one, and the stream, nil if it is not there or does not answer.
func LastOn(ctx context.Context, js jetstream.JetStream, subject string) (*jetstream.RawStreamMsg, jetstream.Stream, error) {
	stream, err := js.Stream(ctx, EventStream)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	msg, err := stream.GetLastMsgForSubject(ctx, subject)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, stream, nil
	}
	if err != nil {
		return nil, nil, err
	}
	return msg, stream, nil
}
