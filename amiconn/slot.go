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
	told     told

	// The supervisor's own.
	lastUp time.Time // when its last session ended
	tries  int       // since the last one that stayed up
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

// down takes down the session of own, which has ended, before anybody asks
// whether others stand: of those that fall at once the last one stands alone.
func (l *Link) down(own *slot) {
	l.mu.Lock()
	defer l.mu.Unlock()
	own.session = nil
}

// othersStand reports whether another session that does the same as own has
// been up for StableAfter: then the server is well and own is one too many, such
// as one more than Asterisk lets in. The only one of its role always counts.
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
