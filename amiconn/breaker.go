package amiconn

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/sony/gobreaker/v2"
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
	ReasonRetry    Reason = "retry"    // somebody says that a refused login may pass now
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

// breaker decides whether a session may connect, for all sessions of a server
// together. Every failure counts when it happens, unless the Link keeps it to
// itself because another session stands; a success counts each time that a
// session has been up for StableAfter, so that a link which logs in and dies
// opens it too. A probe gives its place back once it has logged in: the next
// session need not wait until the first has proved itself.
type breaker struct {
	cfg  *Config
	tell func(BreakerChange) // called with mu held: must not call back

	mu       sync.Mutex // protects the following
	cb       *gobreaker.TwoStepCircuitBreaker[struct{}]
	state    BreakerState
	failures int
	cause    *SessionError // of the failure being reported
	opener   *SessionError // the cause of its last opening
	owed     *SessionError // a failure while every probe's place was taken
	retryAt  time.Time
	counts   map[BreakerState]uint64
	changed  chan struct{} // closed and replaced when enter should look again
}

// errNotYet is neither failure nor success: a login that has to prove itself.
var errNotYet = errors.New("not yet known")

func newBreaker(cfg *Config, tell func(BreakerChange)) *breaker {
	b := &breaker{
		cfg: cfg, tell: tell, state: BreakerClosed, changed: make(chan struct{}),
		counts: map[BreakerState]uint64{BreakerClosed: 0, BreakerOpen: 0, BreakerHalfOpen: 0},
	}
	b.cb = b.newBreaker()
	return b
}

func (b *breaker) newBreaker() *gobreaker.TwoStepCircuitBreaker[struct{}] {
	return gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		MaxRequests: uint32(b.cfg.BreakerProbes),
		Timeout:     b.cfg.BreakerCooldown,
		ReadyToTrip: func(gobreaker.Counts) bool {
			// Nobody's retry mends a wrong secret, and each one holds a thread
			// of Asterisk's for a second (manager.c authenticate).
			return b.failures >= b.cfg.BreakerFailures || b.cause.Reason == ReasonAuth
		},
		OnStateChange: func(_ string, _, to gobreaker.State) { b.move(BreakerState(to.String())) },
		IsExcluded:    func(err error) bool { return errors.Is(err, errNotYet) },
	})
}

// forgive closes a breaker that a refused login has opened.
func (b *breaker) forgive() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.state != BreakerOpen || b.opener.Reason != ReasonAuth {
		return
	}
	c := BreakerChange{At: time.Now(), From: b.state, To: BreakerClosed, Reason: ReasonRetry}
	b.cb, b.state, b.failures, b.owed = b.newBreaker(), BreakerClosed, 0, nil
	b.counts[BreakerClosed]++
	b.tell(c)
	b.wake()
}

// move notes a transition. It runs within a call of cb, with mu held.
func (b *breaker) move(to BreakerState) {
	c := BreakerChange{At: time.Now(), From: b.state, To: to, Failures: b.failures}
	switch to {
	case BreakerOpen:
		b.opener = b.cause
		c.Reason, c.Err = b.cause.Reason, b.cause
		c.RetryIn = b.cooldown(b.cause.Reason)
		b.retryAt = c.At.Add(c.RetryIn)
	case BreakerHalfOpen:
		c.Reason = ReasonCooldown
	default:
		c.Reason = ReasonStable
	}
	b.state = to
	b.counts[to]++
	b.tell(c)
}

func (b *breaker) cooldown(why Reason) time.Duration {
	if why == ReasonAuth {
		return max(b.cfg.BreakerCooldown, b.cfg.BackoffMax)
	}
	return b.cfg.BreakerCooldown
}

// try is a connect that the breaker has let through. It is ended once.
type try struct {
	b     *breaker
	done  func(error)
	opens uint64 // how often the breaker had opened by then
}

// enter waits until a session may connect, or ctx ends.
func (b *breaker) enter(ctx context.Context) (*try, error) {
	for {
		b.mu.Lock()
		again, wait := b.changed, time.Duration(0)
		if b.state == BreakerOpen {
			wait = time.Until(b.retryAt)
		}
		if wait <= 0 {
			done, err := b.cb.Allow()
			if err == nil {
				t := &try{b, done, b.counts[BreakerOpen]}
				b.mu.Unlock()
				return t, nil
			}
			// Its own clock may be a moment behind the timer, and a place may
			// become free.
			if wait = time.Millisecond; errors.Is(err, gobreaker.ErrTooManyRequests) {
				wait = b.cfg.BreakerCooldown
			}
		}
		b.mu.Unlock()
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil, ctx.Err()
		case <-again:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// overruled returns why the breaker has opened since it let t through, or nil.
func (t *try) overruled() *SessionError {
	t.b.mu.Lock()
	defer t.b.mu.Unlock()
	if t.b.counts[BreakerOpen] == t.opens {
		return nil
	}
	return &SessionError{t.b.opener.Reason, fmt.Errorf("%w: %w", ErrBreakerOpen, t.b.opener.Err)}
}

// release ends a try that has logged in or was given up: its place is free.
func (t *try) release() {
	t.b.mu.Lock()
	defer t.b.mu.Unlock()
	if owed := t.b.owed; owed != nil {
		t.b.fail(owed, t.done)
	} else {
		t.done(errNotYet)
	}
	t.b.wake()
}

// failed ends a try that did not lead to a session.
func (t *try) failed(cause *SessionError) {
	t.b.mu.Lock()
	defer t.b.mu.Unlock()
	t.b.fail(cause, t.done)
	t.b.wake()
}

// lost counts the end of a session that was up.
func (b *breaker) lost(cause *SessionError) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.state == BreakerOpen && time.Now().Before(b.retryAt) {
		return // open already
	}
	done, err := b.cb.Allow()
	if err != nil {
		b.owed = cause
		return
	}
	b.fail(cause, done)
	b.wake()
}

// stable counts a session that has stayed up for another StableAfter.
func (b *breaker) stable() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.state == BreakerOpen {
		return // what opened it was another session: that one has to prove itself
	}
	done, err := b.cb.Allow()
	if err != nil {
		return
	}
	b.failures = 0
	done(nil)
	b.wake()
}

func (b *breaker) fail(cause *SessionError, done func(error)) {
	b.failures++
	b.cause, b.owed = cause, nil
	if until := time.Now().Add(b.cooldown(cause.Reason)); b.state == BreakerOpen && cause.Reason == ReasonAuth && until.After(b.retryAt) {
		b.retryAt = until // let through before it opened, and refused since
	}
	done(cause)
}

func (b *breaker) wake() {
	close(b.changed)
	b.changed = make(chan struct{})
}

// retryIn returns how long no session may connect.
func (b *breaker) retryIn() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.remaining()
}

func (b *breaker) remaining() time.Duration {
	if b.state != BreakerOpen {
		return 0
	}
	return max(0, time.Until(b.retryAt))
}

func (b *breaker) status() BreakerStatus {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := BreakerStatus{
		State: b.state, Failures: b.failures, RetryIn: b.remaining(),
		Transitions: make(map[BreakerState]uint64, len(b.counts)),
	}
	maps.Copy(s.Transitions, b.counts)
	return s
}
