package correlation

const (
	// endedRemembered Calls are enough to recognise what still comes for one
	// that timed out. Of older ones a late frame counts as Unmatched.
	endedRemembered = 256
	// deadRemembered sessions cover the moment in which an Action is
	// registered for a session that is just ending. Tokens are never reused.
	deadRemembered = 16
)

// endedCalls are the Calls that ended last. A full one forgets the oldest.
type endedCalls struct {
	ring [endedRemembered]struct{ session, actionID string }
	next int
}

func (e *endedCalls) add(session, actionID string) {
	e.ring[e.next].session, e.ring[e.next].actionID = session, actionID
	e.next = (e.next + 1) % len(e.ring)
}

func (e *endedCalls) has(session string, actionID []byte) bool {
	if len(actionID) == 0 {
		return false
	}
	for i := range e.ring {
		if r := &e.ring[i]; r.actionID == string(actionID) && r.session == session {
			return true
		}
	}
	return false
}

// deadSessions are the sessions that ended last. A full one forgets the oldest.
type deadSessions struct {
	ring [deadRemembered]string
	next int
}

func (d *deadSessions) add(session string) {
	if d.has(session) {
		return
	}
	d.ring[d.next] = session
	d.next = (d.next + 1) % len(d.ring)
}

func (d *deadSessions) has(session string) bool {
	for i := range d.ring {
		if d.ring[i] == session {
			return session != ""
		}
	}
	return false
}
