package amiconn

import (
	"maps"
	"slices"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/correlation"
)

// Status is a Link's state at one moment.
type Status struct {
	Server   string
	Sessions []SessionStatus
	Calls    correlation.Stats
	// WriteBytes wait to be written to the action sessions; WriteHighWater is
	// the sum of the most that ever did to each since its login.
	WriteBytes, WriteHighWater int
	// WriteDepth is how many Actions these are.
	WriteDepth int
	Breaker    BreakerStatus
	// Failed counts the failures, by those reasons that there were.
	Failed map[Reason]uint64
	// WriteRefused and CallsRefused count the Actions refused because the write
	// buffer was full, or too many were pending; Panics those of handlers.
	WriteRefused, CallsRefused, Panics uint64
}

// SessionStatus is one session's state at one moment.
type SessionStatus struct {
	Name     string // as in Change
	Role     Role
	State    State
	Session  string
	Version  string
	Failures int
	RetryIn  time.Duration
	Skew     time.Duration
}

// Status returns the Link's state.
func (l *Link) Status() Status {
	status := Status{
		Server: l.cfg.Name, Calls: l.table.Stats(), Breaker: l.breaker.status(), Panics: l.counts.panics.Load(),
		WriteRefused: l.counts.writeRefused.Load(), CallsRefused: l.counts.callsRefused.Load(),
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	status.Failed = maps.Clone(l.failed)
	for _, slot := range l.slots {
		s := SessionStatus{Name: slot.name, Role: slot.role, State: slot.state, Failures: slot.failures}
		if slot.state == StateWaiting {
			s.RetryIn = max(0, time.Until(slot.retryAt))
		}
		if up := slot.session; up != nil {
			s.Session, s.Version, s.Skew = up.Token, up.Version, up.Skew()
		}
		status.Sessions = append(status.Sessions, s)
	}
	for _, slot := range l.actions {
		if slot.session != nil {
			depth, bytes, most := slot.session.queue.depth()
			status.WriteDepth += depth
			status.WriteBytes += bytes
			status.WriteHighWater += most
		}
	}
	return status
}

// Pressure returns the bytes that wait in the write buffers of all action
// sessions and how many Actions are pending or not released.
func (l *Link) Pressure() (writeBytes, pending int) {
	calls := l.table.Stats()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, slot := range l.actions {
		if slot.session != nil {
			_, bytes, _ := slot.session.queue.depth()
			writeBytes += bytes
		}
	}
	return writeBytes, calls.Pending + calls.Held
}

// Ready reports whether every session of the server is up.
func (l *Link) Ready() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, slot := range l.slots {
		if slot.session == nil {
			return false
		}
	}
	return true
}

// Acts reports whether a session for Actions is up.
func (l *Link) Acts() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.ContainsFunc(l.actions, func(s *slot) bool { return s.session != nil })
}

// Takes reports whether Do would have a session for an Action now: at least one
// action session is up, the breaker lets Actions through and the Link was not
// told to stop. An Action that waits for an event needs the event session too.
func (l *Link) Takes() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	turn := l.turn
	_, err := l.choose()
	l.turn = turn
	return err == nil
}

// Room returns the error with which Do would refuse an Action of so many bytes
// now, nil if it would take it.
func (l *Link) Room(bytes int) error {
	calls := l.table.Stats()
	l.mu.Lock()
	defer l.mu.Unlock()
	turn := l.turn
	session, err := l.choose()
	l.turn = turn
	if err != nil {
		return err
	}
	if _, waiting, _ := session.queue.depth(); waiting+bytes > session.queue.limit || calls.Pending+calls.Held >= l.cfg.MaxPending {
		return ErrBusy
	}
	return nil
}

// RetryIn returns how long it is until the first of the action sessions, or the
// server if none of its sessions may connect, is tried again; 0 if one is up or
// being tried.
func (l *Link) RetryIn() time.Duration {
	server := l.breaker.retryIn()
	l.mu.Lock()
	defer l.mu.Unlock()
	soonest := l.actions[0].retryAt // past unless it waits
	for _, slot := range l.actions {
		if slot.session != nil {
			return l.breaker.status().RetryIn
		}
		if slot.retryAt.Before(soonest) {
			soonest = slot.retryAt
		}
	}
	return max(server, time.Until(soonest), 0)
}
