package amiconn

import (
	"strconv"
	"time"
)

// slot is the place of one of a Link's sessions. Its name and role stay, the
// rest is what the Link knows of the session that is there now.
type slot struct {
	name string // as Change.Name
	role Role

	session  *Session // nil unless up
	state    State
	since    time.Time // of state
	failures int
	retryAt  time.Time
	logged   logState

	// The supervisor's own.
	lastUp time.Time // when its last session ended
	tries  int       // since the last one that stayed up
	// excused are those of them in a row that failed while others stood.
	excused int
	refused bool // the last login was, and an Error has been logged
	// retries are the calls of Retry before the last try: another ends the wait
	// behind it.
	retries int
}

// newSlots returns the slots that cfg asks for, the event session's first and
// then those that Actions go to; the only one does both.
func newSlots(cfg *Config) []*slot {
	if cfg.Sessions == 1 {
		return []*slot{{name: RoleBoth.String(), role: RoleBoth}}
	}
	slots := []*slot{{name: RoleEvents.String(), role: RoleEvents}}
	for n := range cfg.ActionSessions {
		name := RoleActions.String()
		if n > 0 {
			name += strconv.Itoa(n + 1)
		}
		slots = append(slots, &slot{name: name, role: RoleActions})
	}
	return slots
}

// down notes that the session of own has ended. It is called before anybody asks
// whether others stand. So of several that end at once, the last one finds that no
// other stands.
func (l *Link) down(own *slot) {
	l.mu.Lock()
	defer l.mu.Unlock()
	own.session = nil
}

// othersStand reports whether another session of own's role has been up for
// StableAfter. Then the server is well, and the failure is own's alone: Asterisk may
// let in fewer sessions than are asked for, for example. For the only session of
// its role it is false.
func (l *Link) othersStand(own *slot) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.slots {
		if s != own && s.role == own.role && s.session != nil && time.Since(s.since) >= l.cfg.StableAfter {
			return true
		}
	}
	return false
}
