package amiconn

import "time"

// try is a connect that the breaker has let through, and the session that came
// of it. It is ended once, by excused or failed, or by up and lost.
type try struct {
	b       *breaker
	round   uint64 // the failures that had been counted by then
	refused uint64 // the refused logins
	retries int    // the calls of retry
	first   int    // 1 for the event session
}

// overruled returns what has failed since t was let through, if nobody is to
// connect because of it now, or nil.
func (t *try) overruled() *SessionError {
	b := t.b
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.state != BreakerOpen || b.round == t.round {
		return nil
	}
	return &SessionError{b.opener.Reason, b.openError()}
}

// excused ends a try that was given up, or whose failure, if it is one, is its
// own because others stand: the server is well.
func (t *try) excused(cause *SessionError) {
	b := t.b
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ended(t)
	if cause != nil {
		if !inUse(cause) {
			b.refuse(t, cause)
		}
		b.succeed()
	}
	b.rouse()
}

// failed ends a try that did not lead to a session.
func (t *try) failed(cause *SessionError) {
	b := t.b
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ended(t)
	if t.round == b.round {
		b.fail(t, cause)
	} else {
		b.refuse(t, cause)
	}
	b.rouse()
}

// up notes that t has led to a session: its place is free.
func (t *try) up() {
	b := t.b
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ended(t)
	b.standing++
	b.proven = max(b.proven, t.round)
	b.rouse()
}

// lost notes the end of a session that was up; cause is nil if it is no failure
// of the server. One that stood when another fell, less than StableAfter ago,
// fell with it.
func (t *try) lost(cause *SessionError, young bool) {
	b := t.b
	b.mu.Lock()
	defer b.mu.Unlock()
	b.standing--
	if cause == nil || t.round != b.round && time.Since(b.failedAt) < b.cfg.StableAfter {
		return
	}
	if b.state == BreakerOpen {
		if time.Now().Before(b.retryAt) {
			return // nobody connects already
		}
		b.move(BreakerHalfOpen, ReasonCooldown)
	}
	if young {
		b.pace.falls++
	}
	b.fail(t, cause)
	b.rouse()
}

// stable notes that the session has stayed up for another StableAfter.
func (t *try) stable() {
	b := t.b
	b.mu.Lock()
	defer b.mu.Unlock()
	if t.round != b.round {
		return // what has failed since was another session: that one has to prove itself
	}
	if t.refused == b.refused {
		b.refusals = 0
	}
	b.recovered()
	b.succeed()
}
