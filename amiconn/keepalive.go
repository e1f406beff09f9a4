package amiconn

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
)

// upkeep is what is due of a Session that is up, and when: a Ping each PingInterval, a look
// whether it stays silent, and each StableAfter that it is still up is said.
type upkeep struct {
	session                    *Session
	ping, stable, check, leave time.Time // leave: zero before it logs off
	silence                    liveness
}

func newUpkeep(s *Session, now time.Time) *upkeep {
	cfg := s.cfg
	s.ping()
	return &upkeep{
		session: s, ping: now.Add(cfg.PingInterval), stable: now.Add(cfg.StableAfter), check: now.Add(cfg.ReadTimeout),
		silence: liveness{session: s, since: -1},
	}
}

// logoff has the Session end in order, which takes logoffWait at most, once.
func (u *upkeep) logoff(now time.Time) {
	if !u.leave.IsZero() {
		return
	}
	u.leave = now.Add(logoffWait)
	u.session.logoff()
}

// do does what is due at now, and returns when something is due next.
func (u *upkeep) do(ctx context.Context, now time.Time) (next time.Time) {
	s := u.session
	if s.cause.Load() != nil {
		return now.Add(time.Hour) // its supervisor is about to take it away
	}
	if due(&u.ping, now, s.cfg.PingInterval) {
		s.ping()
	}
	if due(&u.stable, now, s.cfg.StableAfter) {
		s.try.stable()
		s.proven()
	}
	if !now.Before(u.check) {
		u.check = now.Add(u.silence.check(now))
	}
	next = earliest(u.ping, u.stable, u.check)
	if u.leave.IsZero() {
		return next
	}
	if !now.Before(u.leave) {
		s.end(ReasonShutdown, context.Cause(ctx))
		u.leave = now.Add(logoffWait)
	}
	return earliest(next, u.leave)
}

// due reports whether at is over at now, and moves it to the next of its times that is not,
// as a ticker does that nobody was there to hear.
func due(at *time.Time, now time.Time, every time.Duration) bool {
	late := now.Sub(*at)
	if late < 0 {
		return false
	}
	*at = at.Add((late/every + 1) * every)
	return true
}

func earliest(first time.Time, others ...time.Time) time.Time {
	for _, at := range others {
		if at.Before(first) {
			first = at
		}
	}
	return first
}

// keeper does what is due of all Sessions of a Link that are up, when its timer says so: a
// goroutine for it would be a thousand of a thousand idle servers.
type keeper struct {
	link *Link
	ctx  context.Context

	mu    sync.Mutex // protects the following; nothing that is done while it is held waits
	up    []*upkeep
	watch secretWatch
	timer *time.Timer
	ended bool
}

func newKeeper(ctx context.Context, l *Link) *keeper {
	k := &keeper{link: l, ctx: ctx, watch: secretWatch{link: l, at: time.Now().Add(secretLook)}}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.timer = time.AfterFunc(secretLook, k.keep)
	return k
}

// keep does what is due.
func (k *keeper) keep() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.due()
}

// due does what is due now, and sets the timer. It needs mu.
func (k *keeper) due() {
	if k.ended {
		return
	}
	now := time.Now()
	next := now.Add(time.Hour)
	if len(k.up) < len(k.link.slots) && k.ctx.Err() == nil {
		next = k.watch.look(now)
	}
	for _, u := range k.up {
		if k.ctx.Err() != nil {
			u.logoff(now)
		}
		next = earliest(next, u.do(k.ctx, now))
	}
	if k.ctx.Err() == nil {
		next = together(now, next)
	}
	k.timer.Reset(next.Sub(now))
}

// together returns when what is due next is done: at the end of its tenth of a second, with
// what is due of other Links. A thousand idle servers have four hundred things due a second,
// and to wake up a thread for each was a third of what they cost. What is due soon does not
// wait.
func together(now, next time.Time) time.Time {
	const tenth = time.Second / 10
	if next.Sub(now) < time.Second {
		return next
	}
	return next.Add(tenth - time.Duration(next.UnixNano()%int64(tenth)))
}

// begin has what is due of s be done from now on.
//
//go:noinline
func (k *keeper) begin(s *Session) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.up = append(k.up, newUpkeep(s, time.Now()))
	k.due()
}

// leave has nothing more be done of s.
func (k *keeper) leave(s *Session) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.up = slices.DeleteFunc(k.up, func(u *upkeep) bool { return u.session == s })
	k.due()
}

// end returns once nothing more is done.
func (k *keeper) end() {
	k.mu.Lock()
	k.ended = true
	k.timer.Stop()
	k.mu.Unlock()
	k.watch.group.Wait()
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
		s.push(data)
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
