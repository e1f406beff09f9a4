package journal

import (
	"cmp"
	"context"
	"errors"
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

// Journal writes messages into streams, each acknowledged, for those who may
// not wait: an AMI reader, the goroutine of an endpoint. It writes in the order
// in which it was given them, and what failed again before anything behind it:
// messages that name their stream (Nats-Expected-Stream) and have an id are
// stored once and in order.
//
// Its queue is bounded in bytes; what does not fit is refused, so that whoever
// hands it over can say so.
type Journal struct {
	conn        *natsconn.Conn
	connChanged <-chan struct{} // the connection has come or gone
	limit       int
	log         *zap.Logger
	wake        chan struct{} // of capacity 1
	// linger raises wake once what came Later has waited.
	linger time.Duration
	timer  *time.Timer
	// unacknowledged has messages published and not acknowledged.
	unacknowledged atomic.Bool
	// onStored, if not nil, is called once for those that were tried together: with the failure, or
	// that one is lost for its size, or else that one is stored.
	onStored func(error)

	// Of the goroutine that writes.
	link   *natsconn.Link
	js     jetstream.JetStream // of link, the journal's own
	stored bool                // a message, since onStored was last called
	unfit  error               // why one was too large, likewise

	mu      sync.Mutex // protects the following
	waiting deque.Deque[Entry]
	entries int // waiting or being written
	bytes   int // of them
	once    int // of those that wait, how many are to be tried once
	ended   bool
}

// Entry is a message on its way into a stream.
type Entry struct {
	Msg *nats.Msg // the journal's own from now on
	// Make, if not nil, makes Msg before it is first sent, once and in the order of the
	// queue, on the journal's goroutine: whoever hands it over has no time for that.
	// Until then it counts as Size bytes. It must not panic.
	Make func() *nats.Msg
	Size int
	// Once is for what is worth nothing later: it is tried one time, and gets
	// an error at once while NATS is away or refuses what was before it.
	// Without it the message waits, and is tried until it is stored.
	Once bool
	// Must may fill the last quarter of the queue.
	Must bool
	// Later is for what nobody waits for: it waits a moment for others, so that
	// they share a write, a wake-up and a turn of the server.
	Later bool
	// Done, if not nil, is called once, on the journal's goroutine, which it must
	// not hold up. The error is that of JetStream, such as *jetstream.APIError;
	// unless it is one, nobody knows whether the message is stored.
	Done func(*jetstream.PubAck, error)
}

const (
	// batchSize is how many messages are sent before the first of them is
	// waited for.
	batchSize = 256
	// entryBytes is what a message costs besides its subject and payload.
	entryBytes = 512
	// linger is how long what nobody waits for waits for others.
	linger = 10 * time.Millisecond
)

var (
	// ErrFull is why Write did not take a message that the queue has no room for.
	ErrFull = errors.New("the queue of messages to be stored is full")
	// ErrEnded is what Done gets of a message that was left when Run ended.
	ErrEnded = errors.New("the bridge stopped before it was stored")
)

// SetUnacknowledged says whether messages are published without waiting for an
// acknowledgement, because nobody may store them.
func (j *Journal) SetUnacknowledged(on bool) { j.unacknowledged.Store(on) }

// IsUnacknowledged reports whether messages are published so.
func (j *Journal) IsUnacknowledged() bool { return j.unacknowledged.Load() }

// New returns a journal whose queue holds at most limit bytes; the last quarter is
// for what must be stored. onStored, on the journal's goroutine, is called with what became of
// each try to store: nil, or why it failed. It must not wait, and may be nil.
func New(c *natsconn.Conn, limit int, onStored func(error), log *zap.Logger) *Journal {
	return &Journal{conn: c, connChanged: c.Watch(), limit: limit, onStored: onStored, log: log, wake: make(chan struct{}, 1), linger: linger}
}

// Write hands over a message and returns at once. With an error it was not
// taken, and Done is not called.
func (j *Journal) Write(e Entry) error {
	room := j.limit - j.limit/4
	if e.Must {
		room = j.limit
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	switch {
	case j.ended:
		return ErrEnded
	case j.bytes+e.Bytes() > room:
		return ErrFull
	}
	j.waiting.PushBack(e)
	if e.Once {
		j.once++
	}
	j.entries++
	j.bytes += e.Bytes()
	switch {
	case !e.Later:
		clock.Raise(j.wake)
	case j.waiting.Len() > 1: // the first has set the timer, or is one that waits for nobody
	case j.timer == nil:
		j.timer = time.AfterFunc(j.linger, func() { clock.Raise(j.wake) })
	default:
		j.timer.Reset(j.linger)
	}
	return nil
}

// Bytes is what e counts for, and costs.
func (e *Entry) Bytes() int {
	if e.Make != nil {
		return e.Size + entryBytes
	}
	return len(e.Msg.Subject) + len(e.Msg.Data) + entryBytes
}

// MakeAll makes those messages of batch that are not made yet, and returns by how many bytes they
// have turned out to be larger.
func MakeAll(batch []Entry) (more int) {
	for i := range batch {
		e := &batch[i]
		if e.Make == nil {
			continue
		}
		before := e.Bytes()
		e.Msg, e.Make = e.Make(), nil
		more += e.Bytes() - before
	}
	return more
}

// Left returns how many messages are not stored, and their bytes.
func (j *Journal) Left() (entries, bytes int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.entries, j.bytes
}

// Drain waits until nothing is left, or until ctx ends.
func (j *Journal) Drain(ctx context.Context) {
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for {
		if n, _ := j.Left(); n == 0 {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// Run writes until ctx ends. Done of what is left then gets ErrEnded.
func (j *Journal) Run(ctx context.Context) {
	fresh := time.NewTicker(j.conn.RenewEvery())
	defer fresh.Stop()
	delays := backoff.NewExponentialBackOff()
	delays.InitialInterval, delays.MaxInterval = 50*time.Millisecond, 5*time.Second
	most := batchSize
	for ctx.Err() == nil {
		err := j.store(ctx, most)
		if said := cmp.Or(err, j.unfit); j.onStored != nil && ctx.Err() == nil && (said != nil || j.stored) {
			j.onStored(said)
		}
		j.stored, j.unfit = false, nil
		if err == nil {
			if most == 1 {
				j.log.Info("messages stored again")
			}
			most = batchSize
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
			n, _ := j.Left()
			j.log.Warn("messages wait to be stored", zap.Int("count", n), zap.Error(err))
		}
		most = 1 // one probes
		j.wait(ctx, delays.NextBackOff(), err)
	}
	j.end()
}

// renew has the next message's acknowledgement come to a new subscription:
// the server may have taken the one that there is away, for want of rights. It is
// called while nothing is waited for.
func (j *Journal) renew() {
	if j.js != nil {
		j.js.CleanupPublisher()
	}
}

// use makes the JetStream context for the link that there is now.
func (j *Journal) use() error {
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
// once gets err.
func (j *Journal) wait(ctx context.Context, d time.Duration, err error) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	for {
		for _, e := range j.takeOnce() {
			j.finish(e, nil, err)
		}
		select {
		case <-j.wake:
		case <-j.connChanged:
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

// take takes the first messages out of the queue.
func (j *Journal) take(most int) []Entry {
	j.mu.Lock()
	defer j.mu.Unlock()
	batch := make([]Entry, min(most, j.waiting.Len()))
	for i := range batch {
		batch[i] = j.waiting.PopFront()
		if batch[i].Once {
			j.once--
		}
	}
	return batch
}

// takeOnce takes out what is to be tried once.
func (j *Journal) takeOnce() (once []Entry) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.once == 0 {
		return nil // the queue may be long
	}
	j.once = 0
	for range j.waiting.Len() {
		if e := j.waiting.PopFront(); e.Once {
			once = append(once, e)
		} else {
			j.waiting.PushBack(e)
		}
	}
	return once
}

// putBack puts messages, none of them to be tried once, before all others.
func (j *Journal) putBack(entries []Entry) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for i := len(entries) - 1; i >= 0; i-- {
		j.waiting.PushFront(entries[i])
	}
}

// finish ends the way of e.
func (j *Journal) finish(e Entry, ack *jetstream.PubAck, err error) {
	j.mu.Lock()
	j.entries--
	j.bytes -= e.Bytes()
	j.mu.Unlock()
	j.stored = j.stored || err == nil && ack != nil
	if e.Done != nil {
		e.Done(ack, err)
	}
}

// end takes nothing more. What is left stays counted.
func (j *Journal) end() {
	j.mu.Lock()
	j.ended = true
	j.mu.Unlock()
	for _, e := range j.take(math.MaxInt) {
		if e.Done != nil {
			e.Done(nil, ErrEnded)
		}
	}
}
