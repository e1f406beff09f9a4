package amiconn

import (
	"context"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
)

// keepAlive sends a Ping each PingInterval, ends a Session that stays silent
// and says each StableAfter that it is still up. When ctx ends it logs off. It returns once the Session is dead.
func (s *Session) keepAlive(ctx context.Context) {
	ping := time.NewTicker(s.cfg.PingInterval)
	defer ping.Stop()
	stable := time.NewTicker(s.cfg.StableAfter)
	defer stable.Stop()
	s.ping()
	alive := liveness{session: s, since: -1}
	check := time.NewTimer(s.cfg.ReadTimeout)
	defer check.Stop()
	leave := ctx.Done()
	var left <-chan time.Time
	for {
		select {
		case <-s.dead.Done():
			return
		case <-ping.C:
			s.ping()
		case <-stable.C:
			s.try.stable()
			s.proven()
		case <-check.C:
			check.Reset(alive.check(time.Now()))
		case <-leave:
			leave = nil
			s.logoff()
			timer := time.NewTimer(logoffWait)
			defer timer.Stop()
			left = timer.C
		case <-left:
			s.end(ReasonShutdown, context.Cause(ctx))
		}
	}
}

// Ping has the event session ask for a Pong now, unless it waits for one: what Asterisk
// has said before it comes before it.
func (l *Link) Ping() {
	l.mu.Lock()
	s := l.events.session
	l.mu.Unlock()
	if s != nil {
		s.ping()
	}
}

// ping queues a Ping unless one is unanswered.
func (s *Session) ping() {
	if !s.pingAt.CompareAndSwap(0, max(1, int64(time.Since(s.born)))) {
		return
	}
	data, err := frames.AppendAction(nil, []frames.Header{
		header("Action", "Ping"), header("ActionID", s.pingID),
	})
	if err == nil {
		s.queue.push(outgoing{data: data})
	}
}

// liveness judges a Session's silence. Asterisk answers nothing, not even a
// Ping, while it runs an action, such as a synchronous Originate, so the
// silence that began with a pending Action lasts until that one's deadline.
// A Ping behind pending Actions waits its turn as long as the server is at them: until
// none of them was answered for as long as the longest may take. Else callers that go on
// asking would keep a session for ever that answers nobody.
type liveness struct {
	session *Session
	since   int64     // the last read that grace belongs to
	grace   time.Time // until when that silence is excused
}

// check ends the Session if it has been silent for too long, and returns how
// long to wait before the next check.
func (l *liveness) check(now time.Time) time.Duration {
	s := l.session
	last := s.lastRead.Load()
	timeout := s.cfg.ReadTimeout
	oldest, pending := s.table.OldestDeadline(s.Token)
	if silentUntil := s.born.Add(time.Duration(last) + timeout); now.Before(silentUntil) {
		at := s.pingAt.Load()
		missed := s.born.Add(time.Duration(at) + timeout)
		if pending {
			missed = s.born.Add(time.Duration(max(at, s.answeredAt.Load())) + max(timeout, s.cfg.LongestTimeout()))
		}
		if at != 0 && !now.Before(missed) {
			s.end(ReasonPing, errPingMissed)
		}
		if at != 0 && missed.After(now) && missed.Before(silentUntil) {
			return missed.Sub(now)
		}
		return silentUntil.Sub(now)
	}
	if l.since != last {
		l.since, l.grace = last, now
		if pending {
			l.grace = oldest
		}
	}
	if now.Before(l.grace) {
		return l.grace.Sub(now)
	}
	s.end(ReasonReadTimeout, errSilent)
	return timeout
}
