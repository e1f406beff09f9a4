package amiconn

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"time"
)

// BreakerState is where a server's breaker stands.
type BreakerState string

// The states, as status messages and metric labels spell them.
const (
	BreakerClosed   BreakerState = "closed"    // connects are let through
	BreakerOpen     BreakerState = "open"      // none are, until the cooldown is over
	BreakerHalfOpen BreakerState = "half-open" // BreakerProbes at a time are
)

// The reasons of a breaker's change that are not the failure of a session.
const (
	ReasonStart    Reason = "start"    // the state that it begins in
	ReasonCooldown Reason = "cooldown" // it has been open for long enough
	ReasonStable   Reason = "stable"   // enough sessions have stayed up
)

// BreakerChange is one transition of a server's breaker.
type BreakerChange struct {
	At       time.Time
	From, To BreakerState
	Reason   Reason
	// Err is the failure that opened it.
	Err error
	// Failures is how many there were in a row.
	Failures int
	// RetryIn is how long it stays open.
	RetryIn time.Duration
}

// BreakerStatus is a breaker at one moment.
type BreakerStatus struct {
	State    BreakerState
	Failures int           // in a row
	RetryIn  time.Duration // 0 unless open
	// Transitions counts the changes by the state they led to.
	Transitions map[BreakerState]uint64
}

// breaker decides when a session may connect, for all sessions of a server
// together. While none is up, BreakerProbes of them try for all, and what they
// find out is one round: the first failure ends it, and those of others that
// were let in before it do not count. A success counts each time that a session
// which logged in after the last failure has been up for StableAfter, so that a
// link which logs in and dies opens it too, and an older session that stands
// does not close it.
type breaker struct {
	cfg      *Config
	onChange func(BreakerChange) // called with mu held: must not call back

	mu        sync.Mutex // protects the following
	state     BreakerState
	failures  int           // rounds in a row
	round     uint64        // how many were counted ever
	failedAt  time.Time     // when the last one was
	proven    uint64        // the last one that a session has logged in behind
	opener    *SessionError // the cause of its last opening
	retryAt   time.Time     // nobody connects before
	pace      pace
	refusals  int    // of the credentials, in a row
	refused   uint64 // how many of them were counted ever
	retries   int    // calls of retry
	trying    int    // connects under way
	first     int    // of them the event session's: 1 or 0
	standing  int    // sessions that are up
	successes int    // since it is half-open
	counts    map[BreakerState]uint64
	wake      chan struct{} // closed and replaced when enter should look again
}

func newBreaker(cfg *Config, onChange func(BreakerChange)) *breaker {
	return &breaker{
		cfg: cfg, onChange: onChange, state: BreakerClosed, wake: make(chan struct{}), pace: pace{cfg: cfg},
		counts: map[BreakerState]uint64{BreakerClosed: 0, BreakerOpen: 0, BreakerHalfOpen: 0},
	}
}

// move notes a transition for that reason. It is called with mu held.
func (b *breaker) move(to BreakerState, why Reason) {
	c := BreakerChange{At: time.Now(), From: b.state, To: to, Failures: b.failures, Reason: why}
	if to == BreakerOpen {
		c.Err, c.RetryIn = b.opener, b.retryAt.Sub(c.At)
	}
	b.state, b.successes = to, 0
	b.counts[to]++
	b.onChange(c)
}

// enter waits until a session may connect, not before own unless retry was called
// since there were so many calls of it, or until ctx ends. First says that it is
// the event session, which probes before others: what it misses is lost.
func (b *breaker) enter(ctx context.Context, own time.Time, retries int, first bool) (*try, error) {
	b.mu.Lock()
	for {
		if b.retries != retries {
			own = time.Time{}
		}
		wait := max(time.Until(own), time.Until(b.retryAt))
		switch {
		case wait <= 0 && b.free(first):
			if b.state == BreakerOpen {
				b.move(BreakerHalfOpen, ReasonCooldown)
			}
			t := &try{b: b, round: b.round, refused: b.refused, retries: b.retries}
			if first {
				t.first = 1
			}
			b.trying, b.first = b.trying+1, b.first+t.first
			b.mu.Unlock()
			return t, nil
		case wait <= 0:
			wait = time.Hour // for a place: wake says when
		}
		wake := b.wake
		b.mu.Unlock()
		if err := sleep(ctx, wait, wake); err != nil {
			return nil, err
		}
		b.mu.Lock()
	}
}

// free reports whether another session may connect. All may once one is up that
// has logged in since the last failure, unless the breaker is to be closed first.
// While none is up, a place is kept for the first. A refused login is asked for
// once at a time.
func (b *breaker) free(first bool) bool {
	switch {
	case b.state == BreakerClosed && b.standing > 0 && b.proven == b.round:
		return true
	case b.refusals > 0:
		return b.trying == 0 && (first || b.standing > 0)
	case b.standing == 0 && !first:
		return b.trying-b.first < b.cfg.BreakerProbes-1
	}
	return b.trying < b.cfg.BreakerProbes
}

// sleep waits for d, or until again is closed; an error is that of ctx.
func sleep(ctx context.Context, d time.Duration, wake <-chan struct{}) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-wake:
	case <-timer.C:
	}
	return nil
}

// openError says that the breaker is open, and what opened it.
func (b *breaker) openError() error { return fmt.Errorf("%w: %w", ErrBreakerOpen, b.opener) }

// ended gives back the place of t.
func (b *breaker) ended(t *try) { b.trying, b.first = b.trying-1, b.first-t.first }

// recovered forgets what has failed, but for a refused login, of which a session
// that stood before it says nothing.
func (b *breaker) recovered() { b.failures, b.pace = 0, pace{cfg: b.cfg} }

// succeed closes a half-open breaker after as many successes as it lets probes
// through.
func (b *breaker) succeed() {
	if b.state != BreakerHalfOpen {
		return
	}
	if b.successes++; b.successes >= b.cfg.BreakerProbes {
		b.recovered()
		b.move(BreakerClosed, ReasonStable)
		b.rouse()
	}
}

// fail ends a round. Nobody's retry mends a wrong secret, and each one holds a
// thread of Asterisk's for a second (manager.c session_do): a refusal opens the
// breaker at once.
func (b *breaker) fail(t *try, cause *SessionError) {
	now := time.Now()
	b.failures++
	b.round++
	b.failedAt = now
	opens := b.state == BreakerHalfOpen || b.failures >= b.cfg.BreakerFailures || cause.Reason == ReasonAuth
	b.retryAt = now.Add(b.pace.next(now, opens))
	b.refuse(t, cause)
	if opens {
		b.opener = cause
		b.move(BreakerOpen, cause.Reason)
	}
}

// refuse has nobody ask again soon if cause is a refused login, unless somebody
// called retry meanwhile.
func (b *breaker) refuse(t *try, cause *SessionError) {
	if cause.Reason != ReasonAuth || t.retries != b.retries {
		return
	}
	wait := afterRefusal(b.refusals, inUse(cause), b.cfg)
	b.refusals++
	b.refused++
	if until := time.Now().Add(wait); until.After(b.retryAt) {
		b.retryAt = until
	}
}

// retry ends every wait.
func (b *breaker) retry() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.retries++
	b.retryAt, b.refusals = time.Time{}, 0
	b.rouse()
}

func (b *breaker) rouse() {
	close(b.wake)
	b.wake = make(chan struct{})
}

// retryIn returns how long no session may connect, whatever the state.
func (b *breaker) retryIn() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	return max(0, time.Until(b.retryAt))
}

// refuses returns why Actions are refused, or nil.
func (b *breaker) refuses() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.openFor() > 0 {
		return b.openError()
	}
	return nil
}

// failing reports whether the server's last round has failed, and whether its
// outage is still short.
func (b *breaker) failing() (failing, early bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.failures > 0, b.failures > 0 && b.pace.early(time.Now())
}

func (b *breaker) openFor() time.Duration {
	if b.state != BreakerOpen {
		return 0
	}
	return max(0, time.Until(b.retryAt))
}

func (b *breaker) status() BreakerStatus {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := BreakerStatus{
		State: b.state, Failures: b.failures, RetryIn: b.openFor(),
		Transitions: make(map[BreakerState]uint64, len(b.counts)),
	}
	maps.Copy(s.Transitions, b.counts)
	return s
}
