package amiconn

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"
	"go.uber.org/zap"

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
	// turn. No gate if nil.
	Gate func(ctx context.Context) (func(), error)
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
	counts  counts

	mu       sync.Mutex // protects the following
	stopping bool
	slots    [RoleBoth + 1]slot
	failed   map[Reason]uint64
}

// counts outlive the sessions that they are counted in.
type counts struct {
	panics       atomic.Uint64 // of frame handlers
	writeRefused atomic.Uint64 // Actions that found the write buffer full
	callsRefused atomic.Uint64 // Actions that found MaxPending reached
}

// slot is what a Link knows of one of its sessions.
type slot struct {
	session  *Session // nil unless up
	state    State
	failures int
	retryAt  time.Time
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
		deps.Gate = func(context.Context) (func(), error) { return func() {}, nil }
	}
	limits := correlation.Limits{
		Pending: cfg.MaxPending, ReplyBytes: deps.ReplyBytes, TotalBytes: deps.HeldBytes,
	}
	l := &Link{
		cfg: cfg, deps: deps,
		ids:    correlation.NewIDs(deps.Node, cfg.Name),
		table:  correlation.NewTable(limits, cfg.Charset),
		log:    deps.Logger.Named("amiconn").With(zap.String("server", cfg.Name)),
		failed: make(map[Reason]uint64),
	}
	for _, reason := range Failures() {
		l.failed[reason] = 0
	}
	l.breaker = newBreaker(&l.cfg, l.onBreaker)
	return l
}

// Run keeps the sessions up until ctx ends. Then it logs off, ends the pending
// calls and returns nil.
func (l *Link) Run(ctx context.Context) error {
	l.onBreaker(BreakerChange{At: time.Now(), From: BreakerClosed, To: BreakerClosed, Reason: ReasonStart})
	var group sync.WaitGroup
	for _, role := range l.roles() {
		group.Go(func() { l.supervise(ctx, role) })
	}
	group.Wait()
	l.table.FailAll(correlation.ShuttingDown, ErrStopping)
	return nil
}

func (l *Link) roles() []Role {
	if l.cfg.Sessions == 1 {
		return []Role{RoleBoth}
	}
	return []Role{RoleEvents, RoleActions}
}

// supervise opens one session after another for role until ctx ends.
func (l *Link) supervise(ctx context.Context, role Role) {
	delays := newBackOff(&l.cfg)
	refused := false // the last login was, and an Error has been logged
	for failures := 0; ; {
		ended := Change{Role: role, To: StateWaiting}
		session, err := l.connect(ctx, role, failures)
		if err == nil {
			refused = false
			up := time.Now()
			l.change(Change{Role: role, To: StateUp, Session: session.Token, Version: session.Banner.Version}, session)
			err = session.Run(ctx)
			ended.Session, ended.Version, ended.Events = session.Token, session.Banner.Version, session.seq
			if time.Since(up) >= l.cfg.StableAfter {
				failures = 0
				delays.Reset()
			}
			if ctx.Err() == nil {
				l.breaker.lost(causeOf(err))
			}
		}
		ended.Reason, ended.Err = ReasonOf(err), err
		if ctx.Err() != nil {
			ended.To, ended.Reason = StateStopped, ReasonShutdown
			l.change(ended)
			return
		}
		failures++
		ended.Failures, ended.RetryIn = failures, max(delays.NextBackOff(), l.breaker.retryIn())
		if ended.Reason == ReasonAuth && !refused {
			refused = true
			l.log.Error("login refused: check USERNAME and SECRET, and the user's permit in manager.conf",
				zap.Stringer("role", role), zap.Error(err))
		}
		l.change(ended)
		if !wait(ctx, ended.RetryIn) {
			l.change(Change{Role: role, To: StateStopped, Reason: ReasonShutdown})
			return
		}
	}
}

// connect waits until the breaker and the gate let it through, and opens a
// session. A breaker that opened while it waited at the gate has the last word.
func (l *Link) connect(ctx context.Context, role Role, failures int) (*Session, error) {
	for {
		try, err := l.breaker.enter(ctx)
		if err != nil {
			return nil, &SessionError{ReasonShutdown, err}
		}
		l.change(Change{Role: role, To: StateConnecting, Failures: failures})
		release, err := l.deps.Gate(ctx)
		if err != nil {
			try.release()
			return nil, &SessionError{ReasonShutdown, err}
		}
		if !try.stands() {
			release()
			try.release()
			l.change(Change{Role: role, To: StateWaiting, Failures: failures, RetryIn: l.breaker.retryIn()})
			continue
		}
		session, err := l.openInTurn(ctx, role, release)
		switch {
		case err == nil || ctx.Err() != nil:
			try.release()
		default:
			try.failed(causeOf(err))
		}
		return session, err
	}
}

// openInTurn opens a session and ends its turn at the gate with it, or after
// gateTurn.
func (l *Link) openInTurn(ctx context.Context, role Role, release func()) (*Session, error) {
	end := sync.OnceFunc(release)
	timer := time.AfterFunc(gateTurn, end)
	defer func() { timer.Stop(); end() }()
	return l.open(ctx, role)
}

// gateTurn is the longest that a connect holds its place at the gate: a server
// that does not answer must not delay the others.
const gateTurn = time.Second

// change records c, logs the edge and tells the hook. The session is given
// when one came up.
func (l *Link) change(c Change, up ...*Session) {
	c.At = time.Now()
	l.mu.Lock()
	s := &l.slots[c.Role]
	c.From = s.state
	*s = slot{state: c.To, failures: c.Failures, retryAt: c.At.Add(c.RetryIn)}
	if len(up) > 0 {
		s.session = up[0]
	}
	if c.To == StateWaiting && c.Reason != "" {
		l.failed[c.Reason]++
	}
	l.mu.Unlock()
	l.logChange(c)
	if l.deps.Hooks.State != nil {
		l.deps.Hooks.State(c)
	}
}

func (l *Link) logChange(c Change) {
	fields := []zap.Field{
		zap.Stringer("role", c.Role), zap.Stringer("from", c.From), zap.Stringer("to", c.To),
	}
	switch c.To {
	case StateUp:
		l.log.Info("session up", append(fields, zap.String("session", c.Session), zap.String("version", c.Version))...)
	case StateWaiting:
		if c.Reason == "" {
			return // the breaker opened before it could connect
		}
		l.log.Warn("session lost", append(fields, zap.String("reason", string(c.Reason)), zap.Int("failures", c.Failures),
			zap.Duration("delay", c.RetryIn), zap.Error(c.Err))...)
	default:
		l.log.Debug("session state", fields...)
	}
}

// onBreaker logs a change of the breaker and tells the hook.
func (l *Link) onBreaker(c BreakerChange) {
	fields := []zap.Field{
		zap.String("from", string(c.From)), zap.String("to", string(c.To)), zap.String("reason", string(c.Reason)),
		zap.Int("failures", c.Failures),
	}
	switch {
	case c.To == BreakerOpen:
		l.log.Warn("breaker opened", append(fields, zap.Duration("delay", c.RetryIn), zap.Error(c.Err))...)
	case c.From != c.To:
		l.log.Info("breaker changed", fields...)
	}
	if l.deps.Hooks.Breaker != nil {
		l.deps.Hooks.Breaker(c)
	}
}

// newBackOff doubles from BackoffMin to BackoffMax, each wait up to half off
// either way, so that servers which fell together do not come back together.
func newBackOff(cfg *Config) *backoff.ExponentialBackOff {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval = cfg.BackoffMin
	b.MaxInterval = cfg.BackoffMax
	b.Multiplier = 2
	b.RandomizationFactor = 0.5
	b.Reset()
	return b
}

// wait reports whether d passed before ctx ended.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
