package bridge

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
)

// KeyBucket is the KV bucket in which bridges share the requests with a key.
const KeyBucket = "AMI_IDEMPOTENCY"

const (
	// keyPoll is how often another bridge's request is looked at until it ends.
	keyPoll = 250 * time.Millisecond
	// keyPatience is how long a repeat waits for it, unless Ami-Timeout says.
	keyPatience = 30 * time.Second
	// keyQueueBytes bounds what waits to be written to the bucket. When it is
	// full nothing with a key is sent.
	keyQueueBytes = 16 << 20
	// maxKeyWaits bounds how many keys of other bridges are waited for.
	maxKeyWaits = 256
)

var (
	errNoKeys      = errors.New("Ami-Idempotency-Key is not served: BRIDGE_IDEMPOTENCY_WINDOW is 0")
	errOtherBody   = errors.New("Ami-Idempotency-Key was given for another request")
	errKeyConflict = errors.New("another bridge has this key")
)

// sharedKeys has the requests with a key in a KV bucket, so that a repeat which
// comes to another bridge reaches Asterisk no more than one that comes to this.
// The first to make the key's entry has it; without the bucket's word nothing
// is sent.
type sharedKeys struct {
	run     string // names this process
	conn    *conn
	journal *journal
	log     *zap.Logger
	local   *repeats
	refused func(error) // hears why a claim was not stored; must not wait

	// absent: there is no bucket and none is to be made, so that the keys are
	// this bridge's own.
	absent atomic.Bool

	mu sync.Mutex         // protects the following
	kv jetstream.KeyValue // nil until it is first asked for
	on *link              // that kv is of

	ctx   context.Context // ends the waits
	waits chan struct{}   // a place for each
}

// join waits for the waits, and lets no other begin.
func (s *sharedKeys) join() {
	for range cap(s.waits) {
		s.waits <- struct{}{}
	}
}

// keyEntry is a key's value in the bucket.
type keyEntry struct {
	Run   string          `json:"run"`   // the bridge's process that has it
	Body  string          `json:"body"`  // hash of the request
	State string          `json:"state"` // pending, ended, or free: it never reached Asterisk
	Error *failure        `json:"error,omitempty"`
	Reply json.RawMessage `json:"reply,omitempty"`
}

// claim asks the bucket for k, whose last revision is known, and lets a go on
// when it has it.
func (s *sharedKeys) claim(k *keyed, a *ask, revision uint64) {
	a.here = false
	msg := s.message(k, keyEntry{State: "pending"}, revision)
	err := s.journal.write(journalEntry{msg: msg, once: true, done: func(ack *jetstream.PubAck, err error) {
		api, _ := errors.AsType[*jetstream.APIError](err)
		switch {
		case err == nil:
			k.revision = ack.Sequence
			a.proceed()
		case api != nil && hopeless(api):
			s.resolve(k, a)
		default:
			s.refused(err)
			s.fail(k, a, err)
		}
	}})
	if err != nil {
		s.fail(k, a, err)
	}
}

// fail refuses a. Nothing was sent, though the bucket may have its claim; who
// asks again finds it there, as one of this process that nobody is at.
func (s *sharedKeys) fail(k *keyed, a *ask, err error) {
	s.local.drop(k)
	a.keyed = nil
	f := &failure{
		Code: 503, Kind: "idempotency_unavailable", Sent: "no", RetryAfter: busyRetry.Milliseconds(),
		Message: "the key could not be claimed: " + err.Error(),
	}
	a.refuse(f)
	s.local.answer(k, &outcome{failure: f})
}

// settle tells the other bridges how k ended.
func (s *sharedKeys) settle(k *keyed, o *outcome) {
	e := keyEntry{State: "ended", Error: o.failure, Reply: o.body}
	if o.failure != nil && o.failure.Sent == "no" {
		e = keyEntry{State: "free"}
	}
	s.store(k, e)
}

// store writes the state of k until the bucket has it. It takes the place of
// its own claim only: that may have expired, and the key be another's.
func (s *sharedKeys) store(k *keyed, e keyEntry) {
	err := s.journal.write(journalEntry{msg: s.message(k, e, k.revision), must: true, done: func(_ *jetstream.PubAck, err error) {
		if err != nil {
			s.log.Warn("key not shared", zap.Error(err))
		}
	}})
	if err != nil {
		// Its claim stays: repeats elsewhere end in a timeout.
		s.log.Error("key not shared", zap.Error(err))
	}
}

// message is the entry e of k, to be written if revision is the last.
func (s *sharedKeys) message(k *keyed, e keyEntry, revision uint64) *nats.Msg {
	e.Run, e.Body = s.run, hex.EncodeToString(k.body[:])
	msg := nats.NewMsg("$KV." + KeyBucket + "." + k.token())
	msg.Header.Set(jetstream.ExpectedStreamHeader, keyStream)
	msg.Header.Set(jetstream.ExpectedLastSubjSeqHeader, strconv.FormatUint(revision, 10))
	body, err := json.Marshal(e)
	if err != nil { // a reply that is not JSON: appendReply is wrong
		s.log.Error("key not encoded", zap.Error(err))
	}
	msg.Data = body
	return msg
}

// token is k's name as a subject token.
func (k *keyed) token() string { return hex.EncodeToString(k.name[:]) }

// resolve finds out what another bridge has made of k, on a goroutine of its
// own, since it may have to wait.
func (s *sharedKeys) resolve(k *keyed, a *ask) {
	select {
	case s.waits <- struct{}{}:
	default:
		s.fail(k, a, errKeyConflict)
		return
	}
	go func() {
		defer func() { <-s.waits }()
		ctx, cancel := context.WithTimeout(s.ctx, a.patience())
		defer cancel()
		s.follow(ctx, k, a)
	}()
}

// patience is how long a waits for another bridge.
func (a *ask) patience() time.Duration {
	if own := a.options.timeout; own > 0 {
		return min(own, keyPatience)
	}
	return keyPatience
}

// follow looks at the bucket until k has ended there, or is free again.
func (s *sharedKeys) follow(ctx context.Context, k *keyed, a *ask) {
	ticker := time.NewTicker(keyPoll)
	defer ticker.Stop()
	for {
		entry, err := s.get(ctx, k.token())
		switch {
		case errors.Is(err, jetstream.ErrKeyNotFound):
			s.claim(k, a, 0)
			return
		case err == nil:
			if s.judge(k, a, entry) {
				return
			}
		}
		select {
		case <-ctx.Done():
			s.end(k, a, &outcome{failure: &failure{
				Code: 504, Kind: "timeout", Sent: "unknown", Message: "another bridge has the key, and did not end it in time",
			}})
			return
		case <-ticker.C:
		}
	}
}

// get reads the bucket's entry.
func (s *sharedKeys) get(ctx context.Context, token string) (jetstream.KeyValueEntry, error) {
	l := s.conn.get()
	s.mu.Lock()
	kv, on := s.kv, s.on
	s.mu.Unlock()
	if on != l {
		var err error
		if kv, err = l.js.KeyValue(ctx, KeyBucket); err != nil {
			return nil, err
		}
		s.mu.Lock()
		s.kv, s.on = kv, l
		s.mu.Unlock()
	}
	return kv.Get(ctx, token)
}

// judge acts on what the bucket says of k, and reports whether that was all.
func (s *sharedKeys) judge(k *keyed, a *ask, entry jetstream.KeyValueEntry) bool {
	var e keyEntry
	if err := json.Unmarshal(entry.Value(), &e); err != nil {
		s.log.Warn("key not understood", zap.Error(err))
		return false
	}
	switch {
	case e.State == "free" || e.State == "pending" && e.Run == s.run:
		// Of this process only a is at it: what it had claimed was not sent.
		s.claim(k, a, entry.Revision())
	case e.Body != hex.EncodeToString(k.body[:]):
		s.end(k, a, &outcome{failure: badRequest(errOtherBody)})
	case e.State == "ended":
		s.end(k, a, &outcome{body: e.Reply, failure: e.Error})
	default:
		return false
	}
	return true
}

// end answers a, and those that wait with it, with what another bridge knows.
func (s *sharedKeys) end(k *keyed, a *ask, o *outcome) {
	s.local.drop(k)
	a.keyed = nil
	a.repeat(o)
	s.local.answer(k, o)
}

// newSharedKeys is nil if the keys are to be this bridge's own. The bucket need
// not be there yet: until it is no key is taken.
func (b *Bridge) newSharedKeys() *sharedKeys {
	if b.cfg.Delivery == DeliverCore || b.cfg.IdempotencyWindow == 0 {
		return nil
	}
	journal := newJournal(b.control, keyQueueBytes, b.log.Named("keys"))
	s := &sharedKeys{
		run: b.audit.run, conn: b.control, journal: journal, log: b.log, local: b.repeats, waits: make(chan struct{}, maxKeyWaits),
	}
	s.refused = func(err error) { b.streams.stored(keyStream, err) }
	journal.came = s.refused
	return s
}

// seen hears how the stream behind the bucket stands, from the goroutine that
// looks at it.
func (s *sharedKeys) seen(state streamState, streams Streams) {
	absent := state == streamMissing && streams != StreamsManage
	if absent && !s.absent.Load() {
		s.log.Warn("no bucket "+KeyBucket+": an idempotency key holds for this bridge alone", zap.Stringer("streams", streams))
	}
	s.absent.Store(absent)
}
