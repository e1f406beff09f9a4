package amiconn

import (
	"fmt"
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
	// Timeout bounds the wait for its end; 0 is the one of ActionTimeouts or
	// else ActionTimeout, which also caps it.
	Timeout time.Duration
	// WaitComplete ends an async Originate with its OriginateResponse.
	WaitComplete bool
	// May, if set, is asked just before the first byte is written, by the goroutine that
	// writes, which it must not block. False: not one byte is written, and the Action ends
	// NotSent because of ErrWithdrawn.
	May func() bool
	// Part, if set, gets the events and the output as they come (see
	// correlation.Call). It must not block.
	Part func(correlation.Part) bool
	// Done gets the outcome, exactly once. It is called on a goroutine that
	// must not be blocked. The Result has to be released.
	Done func(*correlation.Result)
}

// Do queues a for the server and returns its ActionID. It does not wait. An
// error means that nothing reached Asterisk and Done will not be called: it is
// ErrNotConnected, ErrBreakerOpen, ErrBusy, ErrStopping, ErrNoActionID, or a *frames.HeaderError for an
// Action that cannot be written.
func (l *Link) Do(a Action) (string, error) {
	session, events, err := l.pick(a.WaitComplete)
	if err != nil {
		return "", err
	}
	if session.namelessPong.Load() && (strings.EqualFold(a.Name, "Ping") || correlation.Fenced(a.Name)) {
		return "", ErrNoActionID
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
		Regex: regexChannel(a.Headers), OldLists: session.oldLists,
		Timeout: l.cfg.Timeout(a.Name, a.Timeout), Part: a.Part, Probe: session.ping, Done: session.watch(a.Done),
	}
	return id, session.send(call, data, a.May)
}

// pick returns the session that the next Action goes to and, for a call that
// waits for an event, the token of the one that it will come by.
func (l *Link) pick(waits bool) (*Session, string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	session, err := l.choose()
	if err != nil || !waits {
		return session, "", err
	}
	if l.events.session == nil {
		return nil, "", fmt.Errorf("%w: the event session, which brings the OriginateResponse, is %v",
			ErrNotConnected, l.events.state)
	}
	return session, l.events.session.Token, nil
}

// choose returns the action session with the fewest pending calls, each in its
// turn among equals, and one that is behind only if all are. It is called with
// mu held.
func (l *Link) choose() (best *Session, err error) {
	if l.stopping {
		return nil, ErrStopping
	}
	if err := l.breaker.refuses(); err != nil {
		return nil, err
	}
	fewest, behind, next := 0, false, l.turn
	for i := range l.actions {
		at := (l.turn + i) % len(l.actions)
		s := l.actions[at].session
		if s == nil {
			continue
		}
		n := l.table.Pending(s.Token)
		late := s.behind(n)
		if best == nil || behind && !late || behind == late && n < fewest {
			best, fewest, behind, next = s, n, late, at+1
		}
	}
	if best == nil {
		return nil, fmt.Errorf("%w: no action session is up", ErrNotConnected)
	}
	l.turn = next
	return best, nil
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
