package idempotency

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/journal"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/natsconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/reply"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
)

const (
	// keyPoll is how often another bridge's request is looked at until it ends.
	keyPoll = 250 * time.Millisecond
	// keyPatience is how long a repeat waits for it, unless Ami-Timeout says.
	keyPatience = 30 * time.Second
	// QueueBytes bounds what waits to be written to the bucket. When it is
	// full nothing with a key is sent.
	QueueBytes = 16 << 20
	// maxKeysAwaited bounds how many keys of other bridges are waited for.
	maxKeysAwaited = 256
)

var (
	errNoKeys      = errors.New("Ami-Idempotency-Key is not served: BRIDGE_IDEMPOTENCY_WINDOW is 0")
	errOtherBody   = errors.New("Ami-Idempotency-Key was given for another request")
	errKeyConflict = errors.New("another bridge has this key")
)

// Queue is where what is to be written to the bucket waits: a journal, of
// QueueBytes.
type Queue interface{ Write(journal.Entry) error }

// sharedKeys has the requests with a key in a KV bucket, so that a repeat which
// comes to another bridge reaches Asterisk no more than one that comes to this.
// The first to make the key's entry has it; without the bucket's word nothing
// is sent.
type sharedKeys struct {
	run     string // names this process
	conn    *natsconn.Conn
	journal Queue
	log     *zap.Logger
	local   *Cache
	refused func(error)           // called with why a claim was not stored; must not wait
	gone    func(run string) bool // whether that process is not heard any more; nil: nobody knows

	// absent: there is no bucket and none is to be made, so that the keys are
	// this bridge's own.
	absent atomic.Bool

	mu     sync.Mutex       // protects the following
	stream jetstream.Stream // behind the bucket; nil until it is first asked for
	on     *natsconn.Link   // that stream is of

	claims  atomic.Uint64              // that were made
	freeing atomic.Int64               // how many claims are looked for
	places  chan struct{}              // a place for each key of another bridge that is waited for
	work    chan func(context.Context) // those to be begun; has room for all that have a place
}

// serve waits for other bridges' keys until ctx ends, which ends the waits too. No
// other begins afterwards.
func (s *sharedKeys) serve(ctx context.Context) {
	var group sync.WaitGroup
	defer group.Wait()
	begin := func(work func(context.Context)) {
		group.Go(func() {
			defer func() { <-s.places }()
			work(ctx)
		})
	}
	for ctx.Err() == nil {
		select {
		case work := <-s.work:
			begin(work)
		case <-ctx.Done():
		}
	}
	for taken := 0; taken < cap(s.places); {
		select {
		case work := <-s.work:
			begin(work)
		case s.places <- struct{}{}:
			taken++
		}
	}
}

// bucketValue is a key's value in the bucket.
type bucketValue struct {
	Run   string          `json:"run"`             // the bridge's process that has it
	Claim uint64          `json:"claim,omitempty"` // of that process, which it is; of a pending one
	Body  string          `json:"body"`            // hash of the request
	State string          `json:"state"`           // pending, ended, or free: it never reached Asterisk
	Error *reply.Error    `json:"error,omitempty"`
	Reply json.RawMessage `json:"reply,omitempty"`
}

// claim is the first request of a key here, which another bridge may have had.
type claim struct {
	*Entry
	patience time.Duration // see key
	request  Request
	until    time.Time // it is looked at so long; zero before the bucket refused it first
}

// claim asks the bucket for c, of which the last revision is known, and lets the
// request go on when it has it.
func (s *sharedKeys) claim(c claim, revision uint64) {
	id := s.claims.Add(1)
	msg := s.message(c.Entry, bucketValue{State: "pending", Claim: id}, revision)
	err := s.journal.Write(journal.Entry{Msg: msg, Once: true, Done: func(ack *jetstream.PubAck, err error) {
		switch {
		case err == nil:
			c.revision = ack.Sequence
			c.request.First(c.Entry)
		case natsconn.Overtaken(err):
			s.resolve(c)
		default:
			s.refused(err)
			s.fail(c, err)
			if mayBeStored(err) {
				s.free(c.Entry, id)
			}
		}
	}})
	if err != nil {
		s.fail(c, err)
	}
}

// fail refuses c. Nothing was sent, though the bucket may have its claim: who
// asks again here finds it there, as one of this process that nobody is at.
func (s *sharedKeys) fail(c claim, err error) {
	s.local.drop(c.Entry)
	f := &reply.Error{
		Code: 503, Kind: reply.KindIdempotencyUnavailable, Sent: "no", RetryAfter: reply.BusyRetry.Milliseconds(),
		Message: "the key could not be claimed: " + err.Error(),
	}
	c.request.Refuse(f)
	s.local.answer(c.Entry, &Outcome{Error: f})
}

// share tells the other bridges how k ended.
func (s *sharedKeys) share(k *Entry, o *Outcome) {
	e := bucketValue{State: "ended", Error: o.Error, Reply: o.Body}
	if o.Error != nil && o.Error.Sent == "no" {
		e = bucketValue{State: "free"}
	}
	s.store(k, e)
}

// store writes the state of k until the bucket has it. It takes the place of
// its own claim only: that may have expired, and the key be another's.
func (s *sharedKeys) store(k *Entry, e bucketValue) {
	err := s.journal.Write(journal.Entry{Msg: s.message(k, e, k.revision), Must: true, Done: func(_ *jetstream.PubAck, err error) {
		if err != nil {
			s.log.Warn("idempotency key not shared", zap.Error(err))
		}
	}})
	if err != nil {
		// Its claim stays: repeats elsewhere end in a timeout.
		s.log.Error("idempotency key not shared", zap.Error(err))
	}
}

// message is the entry e of k, to be written if revision is the last.
func (s *sharedKeys) message(k *Entry, e bucketValue, revision uint64) *nats.Msg {
	e.Run, e.Body = s.run, hex.EncodeToString(k.body[:])
	msg := nats.NewMsg(subjectOf(k.token()))
	msg.Header.Set(jetstream.ExpectedStreamHeader, streams.KeyStream)
	msg.Header.Set(jetstream.ExpectedLastSubjSeqHeader, strconv.FormatUint(revision, 10))
	body, err := json.Marshal(e)
	if err != nil { // a reply that is not JSON: Append is wrong
		s.log.Error("idempotency key not encoded", zap.Error(err))
	}
	msg.Data = body
	return msg
}

// subjectOf is the subject of a key.
func subjectOf(token string) string { return "$KV." + streams.KeyBucket + "." + token }

// token is k's name as a subject token.
func (k *Entry) token() string { return hex.EncodeToString(k.name[:]) }

// resolve finds out what another bridge has made of c, on a goroutine of its
// own, since it may have to wait: the first time at once, and if its claim is refused again,
// as where who is asked lags behind who stores, a keyPoll later.
func (s *sharedKeys) resolve(c claim) {
	select {
	case s.places <- struct{}{}:
	default:
		s.fail(c, errKeyConflict)
		return
	}
	pause := keyPoll
	if c.until.IsZero() {
		pause, c.until = 0, time.Now().Add(c.wait())
	}
	s.work <- func(ctx context.Context) {
		ctx, cancel := context.WithDeadline(ctx, c.until)
		defer cancel()
		s.follow(ctx, c, pause)
	}
}

// wait is how long c waits for another bridge.
func (c *claim) wait() time.Duration {
	if c.patience > 0 {
		return min(c.patience, keyPatience)
	}
	return keyPatience
}

// follow looks at the bucket after that pause, and until c has ended there, or is free again.
func (s *sharedKeys) follow(ctx context.Context, c claim, pause time.Duration) {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			s.end(c, &Outcome{Error: &reply.Error{
				Code: 504, Kind: reply.KindTimeout, Sent: "unknown", Message: "another bridge has the key, and did not end it in time",
			}})
			return
		case <-timer.C:
		}
		last, err := s.last(ctx, c.token())
		if err == nil && s.apply(c, last) {
			return
		}
		timer.Reset(keyPoll)
	}
}

// last reads the bucket's last message of a key: nil if there is none.
func (s *sharedKeys) last(ctx context.Context, token string) (*jetstream.RawStreamMsg, error) {
	l := s.conn.Get()
	s.mu.Lock()
	stream, on := s.stream, s.on
	s.mu.Unlock()
	if on != l {
		var err error
		if stream, err = l.JS.Stream(ctx, streams.KeyStream); err != nil {
			return nil, err
		}
		s.mu.Lock()
		s.stream, s.on = stream, l
		s.mu.Unlock()
	}
	msg, err := stream.GetLastMsgForSubject(ctx, subjectOf(token))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, nil
	}
	if err != nil {
		s.mu.Lock()
		s.on = nil // it may allow no direct gets any more, by which it was read so far
		s.mu.Unlock()
	}
	return msg, err
}

// apply acts on what the bucket says of c, and reports whether that was all.
func (s *sharedKeys) apply(c claim, last *jetstream.RawStreamMsg) bool {
	var e bucketValue
	switch {
	case last == nil:
		s.claim(c, 0)
		return true
	case len(last.Data) == 0:
		s.claim(c, last.Sequence) // it has expired, or somebody has deleted it: the marker of that is a message
		return true
	}
	if err := json.Unmarshal(last.Data, &e); err != nil {
		s.log.Warn("idempotency key not understood", zap.Error(err))
		return false
	}
	switch {
	case e.State == "free" || e.State == "pending" && e.Run == s.run:
		// Of this process only c is at it: what it had claimed was not sent.
		s.claim(c, last.Sequence)
	case e.Body != hex.EncodeToString(c.body[:]):
		s.end(c, &Outcome{Error: reply.BadRequest(errOtherBody)})
	case e.State == "ended" && (e.Reply != nil || e.Error != nil): // else it says not how
		s.end(c, &Outcome{Body: e.Reply, Error: e.Error})
	case e.State == "pending" && s.gone != nil && s.gone(e.Run):
		// It may have been sent; and its claim stays, so that it is not sent again.
		s.end(c, &Outcome{Error: &reply.Error{
			Code: 504, Kind: reply.KindTimeout, Sent: "unknown", Message: "the bridge that had the key is not heard any more",
		}})
	default:
		return false
	}
	return true
}

// end answers c, and those that wait with it, with what another bridge knows.
func (s *sharedKeys) end(c claim, o *Outcome) {
	s.local.drop(c.Entry)
	c.request.Repeat(o)
	s.local.answer(c.Entry, o)
}

// seen observes how the stream behind the bucket stands, from the goroutine that
// looks at it.
func (s *sharedKeys) seen(state streams.State, setting config.Streams) {
	absent := state == streams.Missing && setting != config.StreamsManage
	if absent && !s.absent.Load() {
		s.log.Warn("no bucket "+streams.KeyBucket+": an idempotency key holds for this bridge alone", zap.Stringer("streams", setting))
	}
	s.absent.Store(absent)
}
