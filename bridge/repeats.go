package bridge

import (
	"context"
	"crypto/sha256"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/deque"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/natsconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/reply"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
)

const (
	// maxKeys bounds the requests with a key that are remembered, and
	// maxKeyBytes their replies. When either is full another key is refused as
	// busy: to forget one within the window could be a second phone call.
	maxKeys     = 20_000
	maxKeyBytes = 32 << 20
	// maxRepeats bounds how many wait for the outcome of one.
	maxRepeats = 64
	// keptReply is the largest reply that is remembered whole.
	keptReply = 64 << 10
)

// repeats remembers what became of the requests with an Ami-Idempotency-Key.
// One with the same subject and key gets the outcome of the first, or waits for
// it, and never reaches Asterisk; unless the first did not either: then it is
// forgotten. Methods may be called from any goroutine and do not wait.
type repeats struct {
	window time.Duration // 0: keys are refused
	shared *sharedKeys   // what other bridges know, or nil

	mu    sync.Mutex // protects the following
	known map[[sha256.Size]byte]*keyed
	ended deque.Deque[*keyed] // in the order in which they are forgotten
	bytes int                 // of the replies
}

// keyed is a request with a key, from when it came until it is forgotten. The
// fields from outcome on are guarded by repeats.mu.
type keyed struct {
	name [sha256.Size]byte // hash of subject, server of all, and key
	body [sha256.Size]byte // hash of its content
	// revision is that of its claim in the bucket.
	revision uint64

	outcome *outcome // nil until it has ended
	until   time.Time
	waiting []keyedRequest
}

// outcome is how a request ended: its reply.
type outcome struct {
	body    []byte
	failure *reply.Error
}

// serve waits for other bridges' keys until ctx ends, which ends the waits too; at
// once if none are shared. No other begins afterwards.
func (r *repeats) serve(ctx context.Context) {
	if r.shared != nil {
		r.shared.serve(ctx)
	}
}

// isShared reports whether other bridges know the keys of this one, by a bucket.
func (r *repeats) isShared() bool { return r.shared != nil }

// seen is told how the stream behind the bucket stands, by the goroutine that looks
// at it.
func (r *repeats) seen(state streams.State, setting config.Streams) {
	r.shared.seen(state, setting)
}

// newRepeats returns the memory of a bridge whose keys are its own.
func newRepeats(window time.Duration) *repeats {
	return &repeats{window: window, known: make(map[[sha256.Size]byte]*keyed)}
}

// newSharedRepeats returns that of one which shares them, if cfg has it so. The
// bucket need not be there yet: until it is no key is taken. run names this
// process; refused hears what became of the claims and must not wait.
func newSharedRepeats(cfg *config.Config, run string, c *natsconn.Conn, q claims, refused func(error), log *zap.Logger) *repeats {
	r := newRepeats(cfg.IdempotencyWindow)
	if cfg.Delivery != config.DeliverCore && cfg.IdempotencyWindow > 0 {
		r.shared = &sharedKeys{
			run: run, conn: c, journal: q, log: log, local: r,
			refused: refused, waits: make(chan struct{}, maxKeyWaits), work: make(chan func(context.Context), maxKeyWaits),
		}
	}
	return r
}

// key is what a request with an Ami-Idempotency-Key goes by.
type key struct {
	name     [sha256.Size]byte // hash of what tells it apart
	body     [sha256.Size]byte // hash of its content
	patience time.Duration     // for how long it waits for another bridge's; 0: as long as anybody
}

// keyedRequest is a request with a key. Its methods do not wait.
type keyedRequest interface {
	// first lets it go on, as the first of its key, which ends with settle(k).
	first(k *keyed)
	// repeat answers it with the outcome of the first.
	repeat(*outcome)
	refuse(*reply.Error)
	// later is called before any of these is called on another goroutine, and
	// letGo if that will not be first.
	later()
	letGo()
}

// claim decides about a request with a key. It goes on as the first, or is
// answered, now or later.
func (r *repeats) claim(key key, a keyedRequest) {
	k, first, known, fail := r.enter(key, a)
	switch {
	case fail != nil:
		a.refuse(fail)
	case known != nil:
		a.repeat(known)
	case !first:
	case r.shared == nil || r.shared.absent.Load():
		a.first(k)
	default:
		a.later()
		r.shared.claim(claim{k, key.patience, a}, 0)
	}
}

// enter finds or makes the request of key. A repeat of one that has not ended is
// put among those that wait.
func (r *repeats) enter(key key, a keyedRequest) (k *keyed, first bool, known *outcome, fail *reply.Error) {
	if r.window == 0 {
		return nil, false, nil, reply.BadRequest(errNoKeys)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.forget(time.Now())
	k = r.known[key.name]
	switch {
	case k == nil && (len(r.known) >= maxKeys || r.bytes >= maxKeyBytes):
		return nil, false, nil, reply.Busy("too many requests with a key are remembered")
	case k == nil:
		k = &keyed{name: key.name, body: key.body}
		r.known[key.name] = k
		return k, true, nil, nil
	case k.body != key.body:
		return nil, false, nil, reply.BadRequest(errOtherBody)
	case k.outcome != nil:
		return k, false, k.outcome, nil
	case len(k.waiting) >= maxRepeats:
		return nil, false, nil, reply.Busy("too many requests wait for the outcome of the first with this key")
	}
	a.later()
	a.letGo()
	k.waiting = append(k.waiting, a)
	return k, false, nil, nil
}

// settle ends k with its reply. One that did not reach Asterisk is forgotten;
// those that wait are told the same, and may ask again.
func (r *repeats) settle(k *keyed, body []byte, fail *reply.Error) {
	o := &outcome{body: body, failure: fail}
	if fail == nil || fail.Sent != "no" {
		if len(body) > keptReply {
			o = &outcome{failure: &reply.Error{Code: 413, Kind: "reply_too_large", Sent: "yes", Message: "the first reply was too large to be remembered"}}
		}
		r.remember(k, o)
	} else {
		r.drop(k)
	}
	if k.revision > 0 { // it was claimed in the bucket
		r.shared.settle(k, o)
	}
	r.answer(k, o)
}

// remember keeps the outcome of k for the window.
func (r *repeats) remember(k *keyed, o *outcome) {
	r.mu.Lock()
	defer r.mu.Unlock()
	k.outcome, k.until = o, time.Now().Add(r.window)
	r.bytes += len(o.body)
	r.ended.PushBack(k)
}

// drop forgets k, which has no outcome.
func (r *repeats) drop(k *keyed) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.known, k.name)
}

// answer tells those that wait for k.
func (r *repeats) answer(k *keyed, o *outcome) {
	r.mu.Lock()
	waiting := k.waiting
	k.waiting = nil
	r.mu.Unlock()
	for _, a := range waiting {
		a.repeat(o)
	}
}

// forget removes what is older than the window.
func (r *repeats) forget(now time.Time) {
	for r.ended.Len() > 0 && !now.Before((*r.ended.At(0)).until) {
		k := r.ended.PopFront()
		r.bytes -= len(k.outcome.body)
		delete(r.known, k.name)
	}
}
