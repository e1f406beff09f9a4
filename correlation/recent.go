package correlation

import "github.com/ami-nats-bridge/ami-nats-bridge/frames"

const (
	// endedRemembered Calls are enough to recognise what still comes for one
	// that timed out. Of older ones a late frame counts as Unmatched.
	endedRemembered = 256
	// sessionsRemembered sessions cover the moment in which an Action is
	// registered for a session that is just ending. Tokens are never reused.
	sessionsRemembered = 16
)

// endedCall is what is remembered of a Call.
type endedCall struct {
	session, actionID string
	action            string
	whole             bool  // its Response was all there was to come
	repeats           bool  // further Responses are no surprise
	pongs             uint8 // still to come around plain text
}

// endedCalls are the Calls that ended last. A full one forgets the oldest. A
// thousand servers of which nobody asks anything have no room for any.
type endedCalls struct {
	ring []endedCall // of at most endedRemembered
	next int         // the oldest of a full one
}

func (e *endedCalls) add(p *pending) {
	c := endedCall{session: p.Session, actionID: p.ActionID, action: p.Action, whole: p.Outcome == Answered && !p.list}
	c.repeats = p.rule.has(moreErrors) && p.failed
	if p.rule.has(plainText) && p.sent && !p.final {
		if c.pongs = 2; p.fence {
			c.pongs = 1
		}
	}
	if len(e.ring) < endedRemembered {
		e.ring = append(e.ring, c)
		return
	}
	e.ring[e.next] = c
	e.next = (e.next + 1) % len(e.ring)
}

func (e *endedCalls) find(session string, actionID []byte) *endedCall {
	if len(actionID) == 0 {
		return nil
	}
	for i := range e.ring {
		if c := &e.ring[i]; c.actionID == string(actionID) && c.session == session {
			return c
		}
	}
	return nil
}

// hasText says whether raw text on session is that of a Call that has ended.
func (e *endedCalls) hasText(session string) bool {
	for i := range e.ring {
		if c := &e.ring[i]; c.pongs == 1 && c.session == session {
			return true
		}
	}
	return false
}

// missed counts the Response f, which no Call waits for.
func (t *Table) missed(session string, f *frames.Frame) {
	c := t.ended.find(session, f.Get("ActionID"))
	switch {
	case c == nil:
		t.unmatched++
		return
	case c.repeats:
		t.repeated++
		return
	case c.pongs > 0 && f.Get("Ping") != nil:
		c.pongs--
	}
	t.late++
}

// endedSessions are the sessions that ended last. A full one forgets the oldest.
type endedSessions struct {
	ring [sessionsRemembered]string
	next int
}

func (d *endedSessions) add(session string) {
	if d.has(session) {
		return
	}
	d.ring[d.next] = session
	d.next = (d.next + 1) % len(d.ring)
}

func (d *endedSessions) has(session string) bool {
	for i := range d.ring {
		if d.ring[i] == session {
			return session != ""
		}
	}
	return false
}
