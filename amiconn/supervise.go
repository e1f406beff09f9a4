package amiconn

import (
	"context"
	"sync"
	"time"

	"go.uber.org/zap"
)

// supervise opens one session after another for s until ctx ends. While a session is up this
// is its reader's stack, of which a thousand idle servers have two thousand: Go halves one of
// 8 KiB if some 1.2 are in use, so that what is done between two sessions is in functions of
// their own.
func (l *Link) supervise(ctx context.Context, s *slot, k *keeper) {
	for done := false; !done; {
		session, excused, err := l.connect(ctx, s)
		if err == nil {
			l.noteUp(s, session)
			excused, err = l.serve(ctx, s, session, k)
		}
		done = l.noteEnd(ctx, s, session, excused, err)
	}
}

// noteUp notes that a session of s is up.
//
//go:noinline
func (l *Link) noteUp(s *slot, session *Session) {
	s.refused = false
	l.change(s, Change{To: StateUp, Session: session.Token, Version: session.Version}, session)
}

// noteEnd notes that a session of s has ended, or did not come up: then it is nil. It
// reports whether it was the last.
func (l *Link) noteEnd(ctx context.Context, s *slot, session *Session, excused bool, err error) (last bool) {
	ended := Change{To: StateWaiting, Reason: ReasonOf(err), Err: err}
	if session != nil {
		ended.Session, ended.Version, ended.Events = session.Token, session.Version, session.seq
		if s.tries == 0 {
			s.excused = 0
		}
	}
	if ctx.Err() != nil {
		ended.To, ended.Reason = StateStopped, ReasonShutdown
		l.change(s, ended)
		return true
	}
	s.tries++
	ended.Failures, ended.RetryIn = s.tries, l.breaker.retryIn()
	if excused {
		ended.RetryIn = max(ended.RetryIn, ownWait(s.excused, &l.cfg))
		if inUse(err) {
			ended.RetryIn = max(ended.RetryIn, afterRefusal(s.excused, true, &l.cfg))
		}
		s.excused++
	}
	if ended.Reason == ReasonAuth && !s.refused {
		s.refused = true
		l.logRefusal(s, err)
	}
	l.change(s, ended)
	return false
}

// serve runs a session until it ends, and tells the breaker of it unless others
// stand: excused reports whether they do.
func (l *Link) serve(ctx context.Context, s *slot, session *Session, k *keeper) (excused bool, err error) {
	up := time.Now()
	k.begin(session)
	err = session.Run()
	k.leave(session)
	young := time.Since(up) < l.cfg.StableAfter
	s.lastUp = time.Now()
	if !young {
		s.tries = 0
	}
	l.down(s)
	excused = l.othersStand(s)
	var cause *SessionError
	if ctx.Err() == nil && !excused {
		cause = causeOf(err)
	}
	session.try.lost(cause, young)
	return excused, err
}

func (l *Link) logRefusal(s *slot, err error) {
	hint := "login refused: check " + l.cfg.Variable("USERNAME") + " and " + l.secretVariable() + ", and the user's permit in manager.conf"
	if inUse(err) {
		hint = "login refused: the user is logged in and may be so once: set " + l.cfg.Variable("SESSIONS") +
			"=1, or wait until Asterisk notices that an old session is dead"
	}
	l.logger().Error(hint, zap.String("role", s.name), zap.Error(err))
}

// connect waits until the breaker and the gate let it through, and opens a
// session. A breaker that opened while it waited at the gate has the last word.
// The failure of a session is its own, and excused, while others stand.
func (l *Link) connect(ctx context.Context, s *slot) (session *Session, excused bool, err error) {
	for {
		try, err := l.breaker.enter(ctx, s.retryAt, s.retries, s.role != RoleActions)
		if err != nil {
			return nil, false, &SessionError{ReasonShutdown, err}
		}
		s.retries = try.retries
		l.change(s, Change{To: StateConnecting, Failures: s.tries})
		release, err := l.deps.Gate(ctx, s.lastUp)
		if err != nil {
			try.excused(nil)
			return nil, false, &SessionError{ReasonShutdown, err}
		}
		if cause := try.overruled(); cause != nil {
			release()
			try.excused(nil)
			l.change(s, Change{
				To: StateWaiting, Reason: cause.Reason, Err: cause, Failures: s.tries,
				RetryIn: l.breaker.retryIn(), overruled: true,
			})
			continue
		}
		session, err := l.openInTurn(ctx, s, release)
		switch {
		case err == nil:
			session.try, session.proven = try, func() { l.onStable(s) }
			try.up()
		case ctx.Err() != nil:
			try.excused(nil)
		case l.othersStand(s):
			excused = true
			try.excused(causeOf(err))
		default:
			try.failed(causeOf(err))
		}
		return session, excused, err
	}
}

// openInTurn opens a session and ends its turn at the gate with it, or after
// gateTurn.
func (l *Link) openInTurn(ctx context.Context, s *slot, release func()) (*Session, error) {
	turn, dialTimeout := gateTurn, l.cfg.ConnectTimeout
	failing, early := l.breaker.failing()
	if failing {
		turn = gateTurn / 5
	}
	if early {
		dialTimeout = min(dialTimeout, shortDial)
	}
	end := sync.OnceFunc(release)
	timer := time.AfterFunc(turn, end)
	defer func() { timer.Stop(); end() }()
	return l.open(ctx, s, dialTimeout)
}

// gateTurn is the longest that a connect holds its place at the gate, a fifth of
// it if the last one has failed: a server that does not answer must not delay the
// others.
const gateTurn = time.Second

// change records c as the state of s, logs the edge and tells the hook. The
// session is given when one came up.
func (l *Link) change(s *slot, c Change, up ...*Session) {
	c.Role, c.Name, c.At = s.role, s.name, time.Now()
	l.mu.Lock()
	c.From = s.state
	news := s.logged.news(&c)
	s.session, s.state, s.since = nil, c.To, c.At
	s.failures, s.retryAt = c.Failures, c.At.Add(c.RetryIn)
	if len(up) > 0 {
		s.session = up[0]
	}
	if c.To == StateWaiting && !c.overruled {
		l.failed[c.Reason]++
	}
	l.mu.Unlock()
	l.logChange(c, news)
	if l.deps.Hooks.State != nil {
		l.deps.Hooks.State(c)
	}
}
