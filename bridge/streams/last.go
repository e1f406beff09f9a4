package streams

import (
	"context"
	"errors"
	"sync/atomic"

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
	msg, err := lastOf(ctx, stream, subject)
	if err != nil {
		return nil, nil, err
	}
	return msg, stream, nil
}

// lastOf returns the last message on subject that stream holds, nil without one.
func lastOf(ctx context.Context, stream jetstream.Stream, subject string) (*jetstream.RawStreamMsg, error) {
	msg, err := stream.GetLastMsgForSubject(ctx, subject)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, nil
	}
	return msg, err
}

// Last is LastOn for one who asks often: it looks for the stream once for each js, and again
// when the stream does not answer. Its zero value is ready. Its methods may be called from any
// goroutine.
type Last struct{ known atomic.Pointer[knownStream] }

// knownStream is the stream as it was found by js.
type knownStream struct {
	js     jetstream.JetStream
	stream jetstream.Stream
}

// On is LastOn. The stream that it returns is as it was when it was looked for.
func (l *Last) On(ctx context.Context, js jetstream.JetStream, subject string) (*jetstream.RawStreamMsg, jetstream.Stream, error) {
	if k := l.known.Load(); k != nil && k.js == js {
		msg, err := lastOf(ctx, k.stream, subject)
		if err == nil {
			return msg, k.stream, nil
		}
		l.known.CompareAndSwap(k, nil) // it may be gone, or answer another way
	}
	msg, stream, err := LastOn(ctx, js, subject)
	if stream != nil {
		l.known.Store(&knownStream{js, stream})
	}
	return msg, stream, err
}
