package correlation

import (
	"cmp"
	"slices"
)

// expire ends p if it is still pending. Its timer may have fired just as a
// frame ended it: whoever had the lock first wins.
func (t *Table) expire(p *pending) {
	if t.endIfPending(p) {
		p.Done(&p.Result)
	}
}

// endIfPending reports whether it ended p and Done is to be called.
func (t *Table) endIfPending(p *pending) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.calls[p.ActionID] != p {
		return false
	}
	t.end(p, TimedOut)
	return !p.handing
}

// Withdraw ends, NotSent because of cause, a Call that is not going to be written. It is
// called in the place of Sent; a Call that is not pending any more stays as it ended.
func (t *Table) Withdraw(actionID string, cause error) {
	if p := t.withdraw(actionID, cause); p != nil {
		p.Done(&p.Result)
	}
}

func (t *Table) withdraw(actionID string, cause error) *pending {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.calls[actionID]
	if p == nil || p.sent {
		return nil
	}
	p.Cause = cause
	t.end(p, NotSent)
	return p
}

// FailSession ends, because of cause, the Calls that can no longer be answered
// now that session is gone: those written on it or about to be, and those that
// wait on it for their OriginateResponse. They end NotSent or ConnectionLost.
// An async Originate that session has already answered goes on waiting if its
// OriginateResponse comes on another one. Register refuses session from now on.
func (t *Table) FailSession(session string, cause error) {
	finish(t.fail(ConnectionLost, cause, session, func(p *pending) bool {
		needed := p.Session == session && !p.awaitsOriginate()
		awaited := p.WaitComplete && p.WaitSession == session && !p.originated
		return needed || awaited
	}))
}

// FailAll ends every Call with o because of cause. Calls registered later are
// accepted: whoever shuts down must stop asking first. A Call that ends
// ConnectionLost without having been sent ends NotSent.
func (t *Table) FailAll(o Outcome, cause error) {
	finish(t.fail(o, cause, "", func(*pending) bool { return true }))
}

// Unnamed ends, TimedOut because of ErrUnnamed, the Call on session that is the
// first to be answered, if there is one: a Response has come without ActionID, of a
// server that leaves them out. Asterisk answers the Actions of a session one after
// another, so that it most likely is that Call's, which is not sure enough to
// hand it out.
func (t *Table) Unnamed(session string) {
	if p := t.endUnnamed(session); p != nil {
		p.Done(&p.Result)
	}
}

func (t *Table) endUnnamed(session string) (first *pending) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, p := range t.calls {
		if p.Session == session && p.sent && !p.answered && !p.handing && (first == nil || p.seq < first.seq) {
			first = p
		}
	}
	if first != nil {
		first.Cause = ErrUnnamed
		t.end(first, TimedOut)
	}
	return first
}

// fail takes out the Calls that match, the oldest first.
func (t *Table) fail(o Outcome, cause error, session string, match func(*pending) bool) []*pending {
	t.mu.Lock()
	defer t.mu.Unlock()
	if session != "" {
		t.endedSessions.add(session)
		delete(t.long, session)
	}
	var failed []*pending
	for _, p := range t.calls {
		if match(p) {
			failed = append(failed, p)
		}
	}
	slices.SortFunc(failed, func(a, b *pending) int { return cmp.Compare(a.seq, b.seq) })
	for _, p := range failed {
		p.Cause = cause
		if o == ConnectionLost && !p.sent {
			t.end(p, NotSent)
		} else {
			t.end(p, o)
		}
	}
	return slices.DeleteFunc(failed, func(p *pending) bool { return p.handing })
}

// finish calls Done of each in order. They are deferred so that one that panics
// does not keep the others from theirs; the panic goes on up.
func finish(ended []*pending) {
	for _, p := range slices.Backward(ended) {
		defer p.Done(&p.Result)
	}
}
