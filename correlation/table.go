package correlation

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
)

// Limits bounds a Table.
type Limits struct {
	// Pending bounds the Calls between Register and Release. One more is
	// ErrBusy.
	Pending int
	// ReplyBytes bounds the body of one reply, as JSON. A larger one ends
	// TooLarge.
	ReplyBytes int
	// TotalBytes bounds the memory of all bodies between Register and Release.
	// The Call whose frame goes over it ends TooLarge.
	TotalBytes int
}

// Stats is what a Table holds and has met.
type Stats struct {
	Pending   int    // registered and not ended
	Held      int    // ended and not released
	HighWater int    // the most that were pending or held
	Bytes     int    // of all bodies between Register and Release
	Late      uint64 // frames for a Call that had ended without them
	Strays    uint64 // those of Late that came behind a Response which announced none
	Stray     string // the Action that the last of them belonged to
	Repeated  uint64 // Responses after the one that ended an Action known to send more
	Unmatched uint64 // Responses to nothing that was asked
	Replaced  uint64 // U+FFFD written for bytes that are no text
}

// Table holds the pending Calls of one server. It is safe for concurrent use.
type Table struct {
	limits  Limits
	charset frames.Charset

	mu            sync.Mutex
	calls         map[string]*pending // by ActionID, until they end
	running       []*pending          // those in the middle of a list, or between fences
	busy          map[string]int      // Calls that occupy a session, by its token
	seq           uint64
	held          int
	most          int // of calls and held
	bytes         int
	long          map[string]*pending // whose Response comes in pieces, by session
	ended         endedCalls
	endedSessions endedSessions

	late, strays, repeated, unmatched, replaced uint64
	stray                                       string
}

// NewTable returns an empty Table for a server whose bytes are text in c.
func NewTable(l Limits, c frames.Charset) *Table {
	return &Table{
		limits: l, charset: c, calls: make(map[string]*pending), busy: make(map[string]int),
		long: make(map[string]*pending),
	}
}

// Register adds c. From now on it ends, with one call of Done, after Timeout at
// the latest. On an error, ErrBusy, ErrDuplicate or ErrSessionEnded, it was not
// added and Done is never called.
func (t *Table) Register(c Call) error {
	p := &pending{Result: Result{Call: c, table: t}, rule: ruleFor(&c), registered: time.Now()}
	p.deadline = p.registered.Add(c.Timeout)
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.endedSessions.has(c.Session), c.WaitComplete && t.endedSessions.has(c.WaitSession):
		return ErrSessionEnded
	case t.calls[c.ActionID] != nil:
		return fmt.Errorf("%w: %q", ErrDuplicate, c.ActionID)
	case len(t.calls)+t.held >= t.limits.Pending:
		return ErrBusy
	}
	t.seq++
	p.seq = t.seq
	p.timer = time.AfterFunc(c.Timeout, func() { t.expire(p) })
	t.calls[c.ActionID] = p
	t.busy[c.Session]++
	p.occupies = true
	t.most = max(t.most, len(t.calls)+t.held)
	return nil
}

// Sent is to be called just before the first byte of an Action is written.
// False means that its Call has ended, and it must not be written.
func (t *Table) Sent(actionID string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.calls[actionID]
	if p == nil {
		return false
	}
	p.sent = true
	return true
}

// Unsent takes back Sent: no byte of the Action has gone out.
func (t *Table) Unsent(actionID string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if p := t.calls[actionID]; p != nil {
		p.sent = false
	}
}

// OldestDeadline returns the deadline of the Call that has been pending on
// session for the longest. Asterisk runs a session's Actions one after another,
// so until then silence may only mean that it is busy. An async Originate whose
// Response is there no longer counts.
func (t *Table) OldestDeadline(session string) (deadline time.Time, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var oldest *pending
	for _, p := range t.calls {
		if p.Session == session && !p.awaitsOriginate() && (oldest == nil || p.seq < oldest.seq) {
			oldest = p
		}
	}
	if oldest == nil {
		return time.Time{}, false
	}
	return oldest.deadline, true
}

// Pending returns how many Calls occupy session: registered, not ended, and with
// more to come from there. An async Originate whose Response is there does not.
func (t *Table) Pending(session string) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.busy[session]
}

// vacate counts p off its session, once.
func (t *Table) vacate(p *pending) {
	if !p.occupies {
		return
	}
	p.occupies = false
	if t.busy[p.Session]--; t.busy[p.Session] == 0 {
		delete(t.busy, p.Session)
	}
}

// Stats returns what the Table holds now and has met so far.
func (t *Table) Stats() Stats {
	t.mu.Lock()
	defer t.mu.Unlock()
	return Stats{
		Pending: len(t.calls), Held: t.held, HighWater: t.most, Bytes: t.bytes,
		Late: t.late, Strays: t.strays, Stray: t.stray, Repeated: t.repeated, Unmatched: t.unmatched, Replaced: t.replaced,
	}
}

// end takes p out. Whoever ends it calls Done, after unlocking, unless somebody
// is handing out a Part of it, who then does.
func (t *Table) end(p *pending, o Outcome) {
	delete(t.calls, p.ActionID)
	p.over = true
	t.vacate(p)
	if p.list || p.fence {
		t.running = slices.DeleteFunc(t.running, func(q *pending) bool { return q == p })
	}
	p.timer.Stop()
	p.Outcome, p.Sent, p.Duration = o, p.sentState(), time.Since(p.registered)
	if o == TooLarge {
		p.Cause = p.spoilt
	}
	t.held++
	t.ended.add(p)
	t.dropPart(p)
}
