package journal

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/natsconn"
)

// store writes what waits, the first batch of at most so many messages, and
// returns nil when nothing waits any more, or why one of them has to be tried
// again.
func (j *Journal) store(ctx context.Context, most int) error {
	for {
		batch := j.take(most)
		if len(batch) == 0 {
			return nil
		}
		retry, err := j.storeBatch(ctx, batch)
		j.putBack(retry)
		switch api, ok := errors.AsType[*jetstream.APIError](err); {
		case err == nil:
			most = batchSize
		case ok && api.ErrorCode == natsconn.StreamWrongLastMsgID:
			most = 1 // another bridge wrote in between
		default:
			return err
		}
	}
}

// storeBatch sends batch, waits for what becomes of it, and returns what has to
// be tried again and why.
func (j *Journal) storeBatch(ctx context.Context, batch []Entry) (retry []Entry, failure error) {
	futures := make([]jetstream.PubAckFuture, len(batch))
	failures := make([]error, len(batch))
	more := MakeAll(batch)
	j.mu.Lock()
	j.bytes += more
	j.mu.Unlock()
	follow(batch)
	unready := j.use()
	for i, e := range batch {
		if failures[i] = unready; unready == nil {
			futures[i], failures[i] = j.send(e.Msg)
		}
	}
	acks := make([]*jetstream.PubAck, len(batch))
	acknowledge := func(i int) {
		if futures[i] != nil {
			acks[i], failures[i] = acknowledged(ctx, futures[i], batch[i].Msg)
			futures[i] = nil
		}
	}
	if len(batch) > 0 && !slices.ContainsFunc(batch, func(e Entry) bool { return !e.Later }) {
		acknowledge(len(batch) - 1) // the others are there by then: one wake-up for all
	}
	for i, e := range batch {
		acknowledge(i)
		ack, err := acks[i], failures[i]
		if natsconn.TooLarge(err) {
			j.unfit = err
		}
		if err == nil || e.Once || Hopeless(err) {
			j.finish(e, ack, err)
			continue
		}
		retry = append(retry, e)
		if failure == nil {
			failure = err
		}
	}
	return retry, failure
}

// follow has a stream refuse what comes without the one of the batch that was
// sent to it before: what is behind a message that is lost is not stored
// without it. The first has nothing to follow.
func follow(batch []Entry) {
	last := make(map[string]string) // ids by stream
	for _, e := range batch {
		header := e.Msg.Header
		header.Del(jetstream.ExpectedLastMsgIDHeader)
		stream, id := header.Get(jetstream.ExpectedStreamHeader), header.Get(jetstream.MsgIDHeader)
		if stream == "" || id == "" {
			continue
		}
		if last[stream] != "" {
			header.Set(jetstream.ExpectedLastMsgIDHeader, last[stream])
		}
		last[stream] = id
	}
}

// send publishes msg. Without JetStream there is nothing to wait for.
func (j *Journal) send(msg *nats.Msg) (jetstream.PubAckFuture, error) {
	if !j.link.IsConnected() {
		return nil, nats.ErrDisconnected // and not into the connection's buffer
	}
	if j.unacknowledged.Load() {
		return nil, j.conn.Publish(j.link, msg)
	}
	// A retry of the library's would be sent behind what came later.
	return j.js.PublishMsgAsync(msg, jetstream.WithRetryAttempts(0))
}

// acknowledged waits for what the stream says, at most the time that the
// JetStream context gives it.
func acknowledged(ctx context.Context, f jetstream.PubAckFuture, msg *nats.Msg) (*jetstream.PubAck, error) {
	select {
	case ack := <-f.Ok():
		if want := msg.Header.Get(jetstream.ExpectedStreamHeader); want != "" && ack.Stream != want {
			return nil, fmt.Errorf("the stream %.40q answered for %s", ack.Stream, want)
		}
		if ack.Sequence == 0 { // which a refusal has too
			return nil, fmt.Errorf("the stream %.40q answered without a sequence", ack.Stream)
		}
		return ack, nil
	case err := <-f.Err():
		return nil, err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Hopeless reports whether a message that was refused so will always be.
func Hopeless(err error) bool {
	return natsconn.TooLarge(err) || natsconn.Overtaken(err) || errors.Is(err, nats.ErrBadSubject)
}
