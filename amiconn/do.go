package amiconn

import (
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/correlation"
	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
)

// Action is one Action to be sent.
type Action struct {
	// Name is the value of the Action header, Headers all others but ActionID.
	Name    string
	Headers []frames.Header
	// Timeout bounds the wait for its end; 0 is ActionTimeout, which also caps
	// it.
	Timeout time.Duration
	// WaitComplete ends an async Originate with its OriginateResponse.
	WaitComplete bool
	// Part, if set, gets the events and the output as they come (see
	// correlation.Call). It must not block.
	Part func(correlation.Part) bool
	// Done gets the outcome, exactly once. It is called on a goroutine that
	// must not be blocked. The Result has to be released.
	Done func(*correlation.Result)
}

// Do queues a for the server and returns its ActionID. It does not wait. An
// error means that nothing reached Asterisk and Done will not be called: it is
// ErrNotConnected, ErrBreakerOpen, ErrBusy, ErrStopping, or a *frames.HeaderError for an
// Action that cannot be written.
func (l *Link) Do(a Action) (string, error) {
	session, events, err := l.pick(a.WaitComplete)
	if err != nil {
		return "", err
	}
	id := l.ids.ActionID(session.Token, session.number.Add(1))
	headers := make([]frames.Header, 0, len(a.Headers)+2)
	headers = append(headers, header("Action", a.Name), header("ActionID", id))
	data, err := frames.AppendAction(nil, append(headers, a.Headers...))
	if err != nil {
		return "", err
	}
	call := correlation.Call{
		ActionID: id, Action: a.Name, Session: session.Token,
		WaitComplete: a.WaitComplete, WaitSession: events,
		Regex: regexChannel(a.Headers), OldLists: oldLists(session.Banner),
		Timeout: l.timeout(a.Timeout), Part: a.Part, Done: a.Done,
	}
	return id, session.send(call, data)
}

// pick returns the session that Actions go to and, for a call that waits for
// an event, the token of the one that it will come by.
func (l *Link) pick(waits bool) (*Session, string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	actions, events := RoleActions, RoleEvents
	if l.cfg.Sessions == 1 {
		actions, events = RoleBoth, RoleBoth
	}
	if l.stopping {
		return nil, "", ErrStopping
	}
	if l.breaker.retryIn() > 0 {
		return nil, "", fmt.Errorf("%w: the server failed too often", ErrBreakerOpen)
	}
	session := l.slots[actions].session
	if session == nil {
		return nil, "", fmt.Errorf("%w: the action session is %v", ErrNotConnected, l.slots[actions].state)
	}
	if !waits {
		return session, "", nil
	}
	if l.slots[events].session == nil {
		return nil, "", fmt.Errorf("%w: the event session, which brings the OriginateResponse, is %v",
			ErrNotConnected, l.slots[events].state)
	}
	return session, l.slots[events].session.Token, nil
}

func (l *Link) timeout(asked time.Duration) time.Duration {
	if asked <= 0 || asked > l.cfg.ActionTimeout {
		return l.cfg.ActionTimeout
	}
	return asked
}

// regexChannel reports whether a Hangup names channels by /regex/, which makes
// its reply a list (manager.c action_hangup).
func regexChannel(headers []frames.Header) bool {
	for _, h := range headers {
		if strings.EqualFold(string(h.Key), "Channel") {
			return len(h.Value) > 1 && h.Value[0] == '/'
		}
	}
	return false
}

// StopActions makes Do refuse from now on. Calls that are pending go on.
func (l *Link) StopActions() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stopping = true
}

// Status is a Link's state at one moment.
type Status struct {
	Server   string
	Sessions []SessionStatus
	Calls    correlation.Stats
	// WriteBytes wait to be written to the action session, and the most that
	// ever did since its login.
	WriteBytes, WriteHighWater int
	// WriteDepth is how many Actions these are.
	WriteDepth int
	Breaker    BreakerStatus
	// Failed counts the failures by reason.
	Failed map[Reason]uint64
	// WriteRefused and CallsRefused count the Actions refused because the write
	// buffer was full, or too many were pending; Panics those of handlers.
	WriteRefused, CallsRefused, Panics uint64
}

// SessionStatus is one session's state at one moment.
type SessionStatus struct {
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
	for _, role := range l.roles() {
		slot := &l.slots[role]
		s := SessionStatus{Role: role, State: slot.state, Failures: slot.failures}
		if slot.state == StateWaiting {
			s.RetryIn = max(0, time.Until(slot.retryAt))
		}
		if up := slot.session; up != nil {
			s.Session, s.Version, s.Skew = up.Token, up.Banner.Version, up.Skew()
			if role != RoleEvents {
				status.WriteDepth, status.WriteBytes, status.WriteHighWater = up.queue.depth()
			}
		}
		status.Sessions = append(status.Sessions, s)
	}
	return status
}

// Pressure returns the bytes that wait in the action session's write buffer and
// how many Actions are pending or not released.
func (l *Link) Pressure() (writeBytes, pending int) {
	calls := l.table.Stats()
	l.mu.Lock()
	defer l.mu.Unlock()
	if session := l.slots[l.actionRole()].session; session != nil {
		_, writeBytes, _ = session.queue.depth()
	}
	return writeBytes, calls.Pending + calls.Held
}

// actionRole is the role of the session that Actions go to.
func (l *Link) actionRole() Role {
	roles := l.roles()
	return roles[len(roles)-1]
}

// Takes reports whether the server may be asked now: the breaker lets Actions
// through, and there is a session for them.
func (l *Link) Takes() bool {
	_, _, err := l.pick(false)
	return err == nil
}

// Ready reports whether every session of the server is up.
func (l *Link) Ready() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, role := range l.roles() {
		if l.slots[role].session == nil {
			return false
		}
	}
	return true
}

// RetryIn returns how long it is until the action session, or the server if its
// breaker is open, is tried again; 0 if it is up or being tried.
func (l *Link) RetryIn() time.Duration {
	open := l.breaker.retryIn()
	l.mu.Lock()
	defer l.mu.Unlock()
	role := l.actionRole()
	if l.slots[role].state != StateWaiting {
		return open
	}
	return max(open, time.Until(l.slots[role].retryAt))
}
