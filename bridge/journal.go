package bridge

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/clock"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/deque"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/natsconn"
)

// journal writes messages into streams, each acknowledged, for those who may
// not wait: an AMI reader, the goroutine of an endpoint. It writes in the order
// in which it was given them, and what failed again before anything behind it:
// messages that name their stream (Nats-Expected-Stream) and have an id are
// stored once and in order.
//
// Its queue is bounded in bytes; what does not fit is refused, so that who
// hands it over can say so.
type journal struct {
	conn  *natsconn.Conn
	again <-chan struct{} // the connection has come or gone
	limit int
	log   *zap.Logger
	wake  chan struct{} // of capacity 1
	// unheard has messages published and not acknowledged.
	unheard atomic.Bool
	// came, if not nil, hears what became of each try to store: nil, or why it
	// failed: of those together the failure, or else that one is stored.
	came func(error)

	// Of the goroutine that writes.
	link   *natsconn.Link
	js     jetstream.JetStream // of link, the journal's own
	stored bool                // a message, since came was last called

	mu      sync.Mutex // protects the following
	waiting deque.Deque[journalEntry]
	entries int // waiting or being written
	bytes   int // of them
	once    int // of those that wait, how many are to be tried once
	ended   bool
}

// journalEntry is a message on its way into a stream.
type journalEntry struct {
	msg *nats.Msg // the journal's own from now on
	// once is for what is worth nothing later: it is tried one time, and hears
	// an error at once while NATS is away or refuses what was before it.
	// Without it the message waits, and is tried until it is stored.
	once bool
	// must may fill the last quarter of the queue.
	must bool
	// done, if not nil, is called once, on the journal's goroutine, which it must
	// not hold up. The error is that of JetStream, such as *jetstream.APIError;
	// unless it is one, nobody knows whether the message is stored.
	done func(*jetstream.PubAck, error)
}

const (
	// journalBatch is how many messages are sent before the first of them is
	// waited for.
	journalBatch = 256
	// journalEntryBytes is what a message costs besides its subject and payload.
	journalEntryBytes = 512
)

var (
	errJournalFull  = errors.New("too much waits to be stored")
	errJournalEnded = errors.New("the bridge stopped before it was stored")
)

// setUnheard has messages published and not acknowledged, or not any more.
func (j *journal) setUnheard(on bool) { j.unheard.Store(on) }

// isUnheard reports whether they are.
func (j *journal) isUnheard() bool { return j.unheard.Load() }

// newJournal returns a journal of at most limit bytes. came may be nil.
func newJournal(c *natsconn.Conn, limit int, came func(error), log *zap.Logger) *journal {
	return &journal{conn: c, again: c.Watch(), limit: limit, came: came, log: log, wake: make(chan struct{}, 1)}
}

// write hands over a message and returns at once. With an error it was not
// taken, and done is not called.
func (j *journal) write(e journalEntry) error {
	room := j.limit - j.limit/4
	if e.must {
		room = j.limit
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	switch {
	case j.ended:
		return errJournalEnded
	case j.bytes+e.size() > room:
		return errJournalFull
	}
	j.waiting.PushBack(e)
	if e.once {
		j.once++
	}
	j.entries++
	j.bytes += e.size()
	clock.Raise(j.wake)
	return nil
}

func (e *journalEntry) size() int { return len(e.msg.Subject) + len(e.msg.Data) + journalEntryBytes }

// left returns how many messages are not stored, and their bytes.
func (j *journal) left() (entries, bytes int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.entries, j.bytes
}

// drain waits until nothing is left, or until ctx ends.
func (j *journal) drain(ctx context.Context) {
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for {
		if n, _ := j.left(); n == 0 {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// run writes until ctx ends. What is left then hears errJournalEnded.
func (j *journal) run(ctx context.Context) {
	fresh := time.NewTicker(natsconn.RenewEvery)
	defer fresh.Stop()
	delays := backoff.NewExponentialBackOff()
	delays.InitialInterval, delays.MaxInterval = 50*time.Millisecond, 5*time.Second
	most := journalBatch
	for ctx.Err() == nil {
		err := j.store(ctx, most)
		if j.came != nil && ctx.Err() == nil && (err != nil || j.stored) {
			j.came(err)
		}
		j.stored = false
		if err == nil {
			if most == 1 {
				j.log.Info("stored again")
			}
			most = journalBatch
			delays.Reset()
			select {
			case <-j.wake:
			case <-fresh.C:
				j.renew()
			case <-ctx.Done():
			}
			continue
		}
		j.renew()
		if most != 1 && ctx.Err() == nil {
			n, _ := j.left()
			j.log.Warn("what is to be stored waits", zap.Int("count", n), zap.Error(err))
		}
		most = 1 // one probes
		j.wait(ctx, delays.NextBackOff(), err)
	}
	j.end()
}

// renew has the next message's acknowledgement be heard by a new subscription:
// the server may have taken the one that there is away, for want of rights. It is
// called while nothing is waited for.
func (j *journal) renew() {
	if j.js != nil {
		j.js.CleanupPublisher()
	}
}

// use makes the JetStream context for the link that there is now.
func (j *journal) use() error {
	l := j.conn.Get()
	if l == j.link {
		return nil
	}
	js, err := jetstream.New(l.Conn, jetstream.WithPublishAsyncTimeout(natsconn.AckTimeout))
	if err != nil {
		return err
	}
	j.renew()
	j.link, j.js = l, js
	return nil
}

// wait lets d pass, or less if NATS comes back; meanwhile what is to be tried
// once hears err.
func (j *journal) wait(ctx context.Context, d time.Duration, err error) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	for {
		for _, e := range j.takeOnce() {
			j.finish(e, nil, err)
		}
		select {
		case <-j.wake:
		case <-j.again:
			if j.conn.Up() {
				return
			}
		case <-timer.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// store writes what waits, the first batch of at most so many messages, and
// returns nil when nothing waits any more, or why one of them has to be tried
// again.
func (j *journal) store(ctx context.Context, most int) error {
	for {
		batch := j.take(most)
		if len(batch) == 0 {
			return nil
		}
		again, err := j.storeBatch(ctx, batch)
		j.putBack(again)
		switch api, ok := errors.AsType[*jetstream.APIError](err); {
		case err == nil:
			most = journalBatch
		case ok && api.ErrorCode == natsconn.StreamWrongLastMsgID:
			most = 1 // another bridge wrote in between
		default:
			return err
		}
	}
}

// storeBatch sends batch, waits for what becomes of it, and returns what has to
// be tried again and why.
func (j *journal) storeBatch(ctx context.Context, batch []journalEntry) (again []journalEntry, failure error) {
	futures := make([]jetstream.PubAckFuture, len(batch))
	failures := make([]error, len(batch))
	follow(batch)
	unready := j.use()
	for i, e := range batch {
		if failures[i] = unready; unready == nil {
			futures[i], failures[i] = j.send(e.msg)
		}
	}
	for i, e := range batch {
		ack, err := (*jetstream.PubAck)(nil), failures[i]
		if futures[i] != nil {
			ack, err = acknowledged(ctx, futures[i], e.msg)
		}
		if err == nil || e.once || hopeless(err) {
			j.finish(e, ack, err)
			continue
		}
		again = append(again, e)
		if failure == nil {
			failure = err
		}
	}
	return again, failure
}

// follow has a stream refuse what comes without the one of the batch that was
// sent to it before: what is behind a message that is lost is not stored
// without it. The first has nothing to follow.
func follow(batch []journalEntry) {
	last := make(map[string]string) // ids by stream
	for _, e := range batch {
		header := e.msg.Header
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
func (j *journal) send(msg *nats.Msg) (jetstream.PubAckFuture, error) {
	if !j.link.IsConnected() {
		return nil, nats.ErrDisconnected // and not into the connection's buffer
	}
	if j.unheard.Load() {
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

// hopeless reports whether a message that was refused so will always be.
func hopeless(err error) bool {
	if api, ok := errors.AsType[*jetstream.APIError](err); ok {
		switch api.ErrorCode {
		case natsconn.StreamMessageExceedsMaximum, jetstream.JSErrCodeStreamWrongLastSequence,
			jetstream.JSErrCodeStreamWrongLastSequenceConstant:
			return true
		}
	}
	return errors.Is(err, nats.ErrMaxPayload) || errors.Is(err, nats.ErrBadSubject)
}

// take takes the first messages out of the queue.
func (j *journal) take(most int) []journalEntry {
	j.mu.Lock()
	defer j.mu.Unlock()
	batch := make([]journalEntry, min(most, j.waiting.Len()))
	for i := range batch {
		batch[i] = j.waiting.PopFront()
		if batch[i].once {
			j.once--
		}
	}
	return batch
}

// takeOnce takes out what is to be tried once.
func (j *journal) takeOnce() (once []journalEntry) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.once == 0 {
		return nil // the queue may be long
	}
	j.once = 0
	for range j.waiting.Len() {
		if e := j.waiting.PopFront(); e.once {
			once = append(once, e)
		} else {
			j.waiting.PushBack(e)
		}
	}
	return once
}

// putBack puts messages, none of them to be tried once, before all others.
func (j *journal) putBack(entries []journalEntry) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for i := len(entries) - 1; i >= 0; i-- {
		j.waiting.PushFront(entries[i])
	}
}

// finish ends the way of e.
func (j *journal) finish(e journalEntry, ack *jetstream.PubAck, err error) {
	j.mu.Lock()
	j.entries--
	j.bytes -= e.size()
	j.mu.Unlock()
	j.stored = j.stored || err == nil && ack != nil
	if e.done != nil {
		e.done(ack, err)
	}
}

// end takes nothing more. What is left stays counted.
func (j *journal) end() {
	j.mu.Lock()
	j.ended = true
	j.mu.Unlock()
	for _, e := range j.take(math.MaxInt) {
		if e.done != nil {
			e.done(nil, errJournalEnded)
		}
	}
}
