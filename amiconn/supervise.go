package amiconn

import (
	"context"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"go.uber.org/zap"
)

// supervise opens one session after another for s until ctx ends.
func (l *Link) supervise(ctx context.Context, s *slot) {
	delays := newBackOff(&l.cfg)
	refused := false // the last login was, and an Error has been logged
	for failures := 0; ; {
		retry := l.retries() // from before the secret is read
		ended := Change{To: StateWaiting}
		session, err := l.connect(ctx, s, failures)
		if err == nil {
			refused = false
			up := time.Now()
			l.change(s, Change{To: StateUp, Session: session.Token, Version: session.Version}, session)
			err = session.Run(ctx)
			ended.Session, ended.Version, ended.Events = session.Token, session.Version, session.seq
			if time.Since(up) >= l.cfg.StableAfter {
				failures = 0
				delays.Reset()
			}
			if ctx.Err() == nil && !l.othersStand(s) {
				l.breaker.lost(causeOf(err))
			}
		}
		ended.Reason, ended.Err = ReasonOf(err), err
		if ctx.Err() != nil {
			ended.To, ended.Reason = StateStopped, ReasonShutdown
			l.change(s, ended)
			return
		}
		failures++
		ended.Failures, ended.RetryIn = failures, max(delays.NextBackOff(), l.breaker.retryIn())
		if ended.Reason == ReasonAuth {
			// While others stand, this does not open the breaker.
			ended.RetryIn = max(ended.RetryIn, l.cfg.BackoffMax)
			if !refused {
				refused = true
				l.log.Error("login refused: check "+l.cfg.Variable("USERNAME")+" and "+l.secretVariable()+", and the user's permit in manager.conf",
					zap.String("role", s.name), zap.Error(err))
			}
		}
		l.change(s, ended)
		if ended.Reason != ReasonAuth && ended.Reason != ReasonSecret {
			retry = nil
		}
		if !wait(ctx, ended.RetryIn, retry) {
			l.change(s, Change{To: StateStopped, Reason: ReasonShutdown})
			return
		}
	}
}

// connect waits until the breaker and the gate let it through, and opens a
// session. A breaker that opened while it waited at the gate has the last word.
// It hears of no failure while others stand: that is the session's own.
func (l *Link) connect(ctx context.Context, s *slot, failures int) (*Session, error) {
	for {
		try, err := l.breaker.enter(ctx)
		if err != nil {
			return nil, &SessionError{ReasonShutdown, err}
		}
		l.change(s, Change{To: StateConnecting, Failures: failures})
		release, err := l.deps.Gate(ctx)
		if err != nil {
			try.release()
			return nil, &SessionError{ReasonShutdown, err}
		}
		if cause := try.overruled(); cause != nil {
			release()
			try.release()
			l.change(s, Change{
				To: StateWaiting, Reason: cause.Reason, Err: cause, Failures: failures,
				RetryIn: l.breaker.retryIn(), overruled: true,
			})
			continue
		}
		session, err := l.openInTurn(ctx, s, release)
		switch {
		case err == nil || ctx.Err() != nil || l.othersStand(s):
			try.release()
		default:
			try.failed(causeOf(err))
		}
		return session, err
	}
}

// openInTurn opens a session and ends its turn at the gate with it, or after
// gateTurn.
func (l *Link) openInTurn(ctx context.Context, s *slot, release func()) (*Session, error) {
	end := sync.OnceFunc(release)
	timer := time.AfterFunc(gateTurn, end)
	defer func() { timer.Stop(); end() }()
	return l.open(ctx, s)
}

// gateTurn is the longest that a connect holds its place at the gate: a server
// that does not answer must not delay the others.
const gateTurn = time.Second

// change records c as the state of s, logs the edge and tells the hook. The
// session is given when one came up.
func (l *Link) change(s *slot, c Change, up ...*Session) {
	c.Role, c.Name, c.At = s.role, s.name, time.Now()
	l.mu.Lock()
	c.From = s.state
	s.session, s.state, s.since = nil, c.To, c.At
	s.failures, s.retryAt = c.Failures, c.At.Add(c.RetryIn)
	if len(up) > 0 {
		s.session = up[0]
	}
	if c.To == StateWaiting && !c.overruled {
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
		zap.String("role", c.Name), zap.Stringer("from", c.From), zap.Stringer("to", c.To),
	}
	switch {
	case c.To == StateUp:
		l.log.Info("session up", append(fields, zap.String("session", c.Session), zap.String("version", c.Version))...)
	case c.To == StateWaiting && !c.overruled:
		l.log.Warn("session lost", append(fields, zap.String("reason", string(c.Reason)), zap.Int("failures", c.Failures),
			zap.Duration("delay", c.RetryIn), zap.Error(c.Err))...)
	default:
		l.log.Debug("session state", fields...)
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

// wait reports whether d passed, or retry was closed, before ctx ended.
func wait(ctx context.Context, d time.Duration, retry <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-retry:
		return true
	case <-timer.C:
		return true
	}
}
