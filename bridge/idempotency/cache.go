package idempotency

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

// Cache remembers what became of the requests with an Ami-Idempotency-Key.
// One with the same subject and key gets the outcome of the first, or waits for
// it, and never reaches Asterisk; unless the first did not either: then it is
// forgotten. Methods may be called from any goroutine and do not wait.
type Cache struct {
	window time.Duration // 0: keys are refused
	shared *sharedKeys   // what other bridges know, or nil

	mu    sync.Mutex // protects the following
	known map[[sha256.Size]byte]*Entry
	ended deque.Deque[*Entry] // in the order in which they are forgotten
	bytes int                 // of the replies
}

// Entry is a request with a key, from when it came until it is forgotten. The
// fields from outcome on are guarded by Cache.mu.
type Entry struct {
	name [sha256.Size]byte // hash of subject, server of all, and key
	body [sha256.Size]byte // hash of its content
	// revision is that of its claim in the bucket.
	revision uint64

	outcome *Outcome // nil until it has ended
	until   time.Time
	waiting []Request
}

// Outcome is how a request ended: its reply.
type Outcome struct {
	Body  []byte
	Error *reply.Error
}

// Run waits for other bridges' keys until ctx ends, which ends the waits too. No other
// begins afterwards. It is for a Cache that IsShared.
func (r *Cache) Run(ctx context.Context) { r.shared.serve(ctx) }

// IsShared reports whether other bridges know the keys of this one, by a bucket.
func (r *Cache) IsShared() bool { return r.shared != nil }

// AskGone has r know from gone, which must not wait, whether the bridge's process of that name
// is not heard any more: then nobody waits for what it was at. It is for a Cache that IsShared,
// and called before Run.
func (r *Cache) AskGone(gone func(run string) bool) { r.shared.gone = gone }

// Seen takes how the stream behind the bucket stands, from the goroutine that looks
// at it. It is for a Cache that IsShared.
func (r *Cache) Seen(state streams.State, setting config.Streams) {
	r.shared.seen(state, setting)
}

// newCache returns the memory of a bridge whose keys are its own.
func newCache(window time.Duration) *Cache {
	return &Cache{window: window, known: make(map[[sha256.Size]byte]*Entry)}
}

// New returns an empty Cache, which shares its keys with other bridges by c if cfg has
// it so: it wants JetStream and a window. The bucket need not be there yet: until it is
// no key is taken. run names this process. refused is called with what became of the claims,
// and must not wait.
func New(cfg *config.Config, run string, c *natsconn.Conn, q Queue, refused func(error), log *zap.Logger) *Cache {
	r := newCache(cfg.IdempotencyWindow)
	if cfg.Delivery != config.DeliverCore && cfg.IdempotencyWindow > 0 {
		r.shared = &sharedKeys{
			run: run, conn: c, journal: q, log: log, local: r,
			refused: refused, places: make(chan struct{}, maxKeysAwaited), work: make(chan func(context.Context), maxKeysAwaited),
		}
	}
	return r
}

// Key is what a request with an Ami-Idempotency-Key goes by.
type Key struct {
	Name     [sha256.Size]byte // hash of what tells it apart
	Body     [sha256.Size]byte // hash of its content
	Patience time.Duration     // for how long it waits for another bridge's; 0: as long as anybody
}

// Request is a request with a key. Its methods do not wait.
type Request interface {
	// First lets it go on, as the first of its key, which ends with Finish(k).
	First(k *Entry)
	// Repeat answers it with the outcome of the first.
	Repeat(*Outcome)
	Refuse(*reply.Error)
	// Later is called before any of these is called on another goroutine, and
	// LetGo if that will not be first.
	Later()
	LetGo()
}

// Claim decides about a request with a key. It goes on as the first, or is
// answered, now or later.
func (r *Cache) Claim(key Key, a Request) {
	k, first, known, fail := r.enter(key, a)
	switch {
	case fail != nil:
		a.Refuse(fail)
	case known != nil:
		a.Repeat(known)
	case !first:
	case r.shared == nil || r.shared.absent.Load():
		a.First(k)
	default:
		a.Later()
		r.shared.claim(claim{Entry: k, patience: key.Patience, request: a}, 0)
	}
}

// enter finds or makes the request of key. A repeat of one that has not ended is
// put among those that wait.
func (r *Cache) enter(key Key, a Request) (k *Entry, first bool, known *Outcome, fail *reply.Error) {
	if r.window == 0 {
		return nil, false, nil, reply.BadRequest(errNoKeys)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.forget(time.Now())
	k = r.known[key.Name]
	switch {
	case k == nil && (len(r.known) >= maxKeys || r.bytes >= maxKeyBytes):
		return nil, false, nil, reply.Busy("too many requests with a key are remembered")
	case k == nil:
		k = &Entry{name: key.Name, body: key.Body}
		r.known[key.Name] = k
		return k, true, nil, nil
	case k.body != key.Body:
		return nil, false, nil, reply.BadRequest(errOtherBody)
	case k.outcome != nil:
		return k, false, k.outcome, nil
	case len(k.waiting) >= maxRepeats:
		return nil, false, nil, reply.Busy("too many requests wait for the outcome of the first with this key")
	}
	a.Later()
	a.LetGo()
	k.waiting = append(k.waiting, a)
	return k, false, nil, nil
}

// Finish ends k with its reply. One that did not reach Asterisk is forgotten;
// those that wait are told the same, and may ask again.
func (r *Cache) Finish(k *Entry, body []byte, fail *reply.Error) {
	o := &Outcome{Body: body, Error: fail}
	if fail == nil || fail.Sent != "no" {
		if len(body) > keptReply {
			o = &Outcome{Error: &reply.Error{Code: 413, Kind: reply.KindTooLarge, Sent: "yes", Message: "the first reply was too large to be remembered"}}
		}
		r.remember(k, o)
	} else {
		r.drop(k)
	}
	if k.revision > 0 { // it was claimed in the bucket
		r.shared.share(k, o)
	}
	r.answer(k, o)
}

// remember keeps the outcome of k for the window.
func (r *Cache) remember(k *Entry, o *Outcome) {
	r.mu.Lock()
	defer r.mu.Unlock()
	k.outcome, k.until = o, time.Now().Add(r.window)
	r.bytes += len(o.Body)
	r.ended.PushBack(k)
}

// drop forgets k, which has no outcome.
func (r *Cache) drop(k *Entry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.known, k.name)
}

// answer tells those that wait for k.
func (r *Cache) answer(k *Entry, o *Outcome) {
	r.mu.Lock()
	waiting := k.waiting
	k.waiting = nil
	r.mu.Unlock()
	for _, a := range waiting {
		a.Repeat(o)
	}
}

// forget removes what is older than the window.
func (r *Cache) forget(now time.Time) {
	for r.ended.Len() > 0 && !now.Before((*r.ended.At(0)).until) {
		k := r.ended.PopFront()
		r.bytes -= len(k.outcome.Body)
		delete(r.known, k.name)
	}
}
