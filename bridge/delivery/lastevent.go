package delivery

import (
	"context"
	"errors"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/clock"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/natsconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
)

// A process knows nothing of the one before it, but the stream does. Events are
// missing between a server's last one there and the first login of this process,
// just as between two sessions, so a Gap stands there. It goes into the outbox
// before the first event. What is behind it waits until the stream has said which
// event was the last. Neither the start nor a login waits for that.

const (
	// lastEventTimeout bounds one question about a server's last event.
	lastEventTimeout = 5 * time.Second
	// lastEventTries is how many of them may go unanswered on a live connection
	// before events go out without the answer: a leader is elected sooner, and
	// one who may not ask gets none.
	lastEventTries = 4
	// lastEventAway is how often it is looked at whether NATS is back.
	lastEventAway = 250 * time.Millisecond
)

// TellLastEvents asks on c for the last event of each of sources, until all are known
// or ctx ends. Without an answer for one the others are not asked for. Each outbox is
// told, and is ready then.
func TellLastEvents(ctx context.Context, c *natsconn.Conn, sources []*Source, log *zap.Logger) {
	var failure error
	for _, s := range sources {
		var last time.Time
		if failure == nil {
			last, failure = askUntilAnswered(ctx, c.Up, func(ctx context.Context) (time.Time, error) {
				ctx, cancel := c.Question(ctx, lastEventTimeout)
				defer cancel()
				return lastEvent(ctx, c.Get().JS, s.Filter)
			})
		}
		if ctx.Err() != nil {
			return
		}
		s.tellLastEvent(last, failure, log)
		s.Ready()
	}
}

// tellLastEvent tells the outbox when the last event before this process was, zero if
// there was none; err is why nobody knows.
func (s *Source) tellLastEvent(last time.Time, err error, log *zap.Logger) {
	if err != nil {
		log.Warn("the last event before this process cannot be read: a Gap begins at the login",
			zap.String("server", s.Name), zap.Error(err))
		last = time.Now()
	}
	s.Outbox.SetLastBefore(last)
}

// askUntilAnswered returns what request does. It asks again while JetStream is away, and gives
// up when too many questions were not answered on a live connection. That its account has no
// JetStream is no answer either, only said at once: the stream may be in another account, and take
// events.
func askUntilAnswered(
	ctx context.Context, connected func() bool, request func(context.Context) (time.Time, error),
) (last time.Time, err error) {
	delays := backoff.NewExponentialBackOff()
	delays.InitialInterval, delays.MaxInterval = 50*time.Millisecond, lastEventTimeout
	for unanswered := 0; unanswered < lastEventTries; {
		live := connected()
		last, err = request(ctx)
		wait := delays.NextBackOff()
		switch {
		case err == nil:
			return last, nil
		case !live, !connected():
			delays.Reset()
			wait = lastEventAway
		case errors.Is(err, context.DeadlineExceeded):
			unanswered++
		case errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount):
			unanswered, wait = unanswered+1, lastEventTimeout
		}
		select {
		case <-ctx.Done():
			return time.Time{}, ctx.Err()
		case <-time.After(wait):
		}
	}
	return time.Time{}, err
}

// lastEvent returns when the last event on subject was read, or zero if the stream
// holds none.
func lastEvent(ctx context.Context, js jetstream.JetStream, subject string) (time.Time, error) {
	msg, stream, err := streams.LastOn(ctx, js, subject)
	switch {
	case msg != nil:
		return readAt(msg.Header.Get("Ami-Time"), storedAt(msg, stream)), nil
	case stream != nil:
		return takenOver(stream.CachedInfo()), nil
	}
	return time.Time{}, err
}

// takenOver is when the last event was stored, whichever server's, if another
// stream takes them over, so that none need be left; else zero.
func takenOver(info *jetstream.StreamInfo) time.Time {
	if info.Config.Retention != jetstream.WorkQueuePolicy || info.State.LastSeq == 0 {
		return time.Time{}
	}
	return info.State.LastTime
}

// storedAt is when the stream took the message, by this machine's clock, where nats-server says what
// time it is there.
func storedAt(m *jetstream.RawStreamMsg, stream jetstream.Stream) time.Time {
	if there := stream.CachedInfo().TimeStamp; !there.IsZero() {
		return time.Now().Add(m.Time.Sub(there))
	}
	return m.Time
}

// readAt is when a bridge read an event: as it says, or else when the stream took it. That was
// later, unless the clock of that bridge is ahead.
func readAt(says string, stored time.Time) time.Time {
	if at, err := time.Parse(clock.Format, says); err == nil && at.Before(stored) {
		return at
	}
	return stored
}
