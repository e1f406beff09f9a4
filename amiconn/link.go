package amiconn

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/setting"
	"github.com/ami-nats-bridge/ami-nats-bridge/correlation"
)

// Deps is what a Link works with.
type Deps struct {
	// Node is the bridge process, part of each ActionID.
	Node string
	// ReplyBytes bounds the body of one Action's reply, HeldBytes all bodies
	// that are held at once.
	ReplyBytes, HeldBytes int
	// Logger may be nil.
	Logger *zap.Logger
	// Dial is net.Dialer.DialContext if nil.
	Dial DialFunc
	// Gate waits for a turn to connect; the function that it returns ends the
	// turn. Last is when the session was last up, zero if it never was. No gate
	// if nil.
	Gate func(ctx context.Context, last time.Time) (func(), error)
	// Learn is told each secret that is read from a file, before it is used, so
	// that it can be kept out of what is written. It may be nil.
	Learn func(secret setting.Secret)
	// Hooks are called as events and states come.
	Hooks Hooks
}

// Link keeps the sessions of one server up. Its methods are safe for
// concurrent use.
type Link struct {
	cfg   Config
	deps  Deps
	ids   *correlation.IDs
	table *correlation.Table
	log   *zap.Logger

	breaker *breaker
	opened  logState // of the breaker
	counts  counts
	login   atomic.Pointer[Config] // what the next login goes by; never changed, only replaced
	used    atomic.Value           // the Secret of the last login

	slots   []*slot // all sessions
	events  *slot   // the one that events come by, one of slots
	actions []*slot // those that Actions go to, the end of slots

	mu       sync.Mutex // protects the following and what changes in a slot
	stopping bool
	turn     int               // where among actions the search for the next one begins
	failed   map[Reason]uint64 // those reasons that there were
}

// counts outlive the sessions that they are counted in.
type counts struct {
	panics       atomic.Uint64 // of frame handlers
	writeRefused atomic.Uint64 // Actions that found the write buffer full
	callsRefused atomic.Uint64 // Actions that found MaxPending reached
}

// NewLink returns a Link to cfg, which must be valid. It connects in Run.
func NewLink(cfg Config, deps Deps) *Link {
	if deps.Logger == nil {
		deps.Logger = zap.NewNop()
	}
	if deps.Dial == nil {
		deps.Dial = new(net.Dialer).DialContext
	}
	if deps.Gate == nil {
		deps.Gate = func(context.Context, time.Time) (func(), error) { return func() {}, nil }
	}
	limits := correlation.Limits{
		Pending: cfg.MaxPending, ReplyBytes: deps.ReplyBytes, TotalBytes: deps.HeldBytes,
	}
	slots := newSlots(&cfg)
	l := &Link{
		cfg: cfg, deps: deps, slots: slots, events: slots[0], actions: slots[len(slots)-cfg.ActionSessions:],
		ids:    correlation.NewIDs(deps.Node, cfg.Name),
		table:  correlation.NewTable(limits, cfg.Charset),
		log:    deps.Logger.Named("amiconn"),
		failed: map[Reason]uint64{},
	}
	l.login.Store(&l.cfg)
	l.breaker = newBreaker(&l.cfg, l.onBreaker)
	return l
}

// logger names the server in each line. It is made when a line is, for what a logger carries takes a KiB.
func (l *Link) logger() *zap.Logger { return l.log.WithLazy(zap.String("server", l.cfg.Name)) }

// Retry has the sessions that are not up tried at once, whatever they wait for:
// somebody may have mended what was wrong.
func (l *Link) Retry() { l.breaker.retry() }

// Run is Start, and returns nil once the Link has ended.
func (l *Link) Run(ctx context.Context) error {
	ended := make(chan struct{})
	l.Start(ctx, func() { close(ended) })
	<-ended
	return nil
}

// Start keeps the sessions up until ctx ends. Then it logs off, ends the pending calls and
// calls ended, as the last that it does: no goroutine waits for the end of a thousand idle
// servers.
func (l *Link) Start(ctx context.Context, ended func()) {
	l.onBreaker(BreakerChange{At: time.Now(), From: BreakerClosed, To: BreakerClosed, Reason: ReasonStart})
	k := newKeeper(ctx, l)
	context.AfterFunc(ctx, k.keep) // without it they would log off when something is due
	var running atomic.Int64
	running.Store(int64(len(l.slots)))
	for _, s := range l.slots {
		go func() {
			l.supervise(ctx, s, k)
			if running.Add(-1) > 0 {
				return
			}
			k.end()
			l.table.FailAll(correlation.ShuttingDown, ErrStopping)
			ended()
		}()
	}
}
