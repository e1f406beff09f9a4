package amiconn

import (
	"errors"
	"fmt"
)

// Reason is why a session ended or was never had: one word for logs, status
// messages and metric labels.
type Reason string

// The reasons. Each is a failure of the server or of the network but for
// ReasonShutdown.
const (
	ReasonSecret       Reason = "secret"        // the secret cannot be read: nobody was asked
	ReasonDial         Reason = "dial"          // no connection
	ReasonTLS          Reason = "tls"           // handshake or certificate
	ReasonBanner       Reason = "banner"        // the peer does not greet as Asterisk does
	ReasonLogin        Reason = "login"         // no answer to the login, or an odd one
	ReasonAuth         Reason = "auth"          // the login was refused
	ReasonClosed       Reason = "closed"        // the server closed the connection
	ReasonRead         Reason = "read"          // the connection broke
	ReasonReadTimeout  Reason = "read_timeout"  // nothing was read for too long
	ReasonPing         Reason = "ping"          // a Ping was not answered
	ReasonWrite        Reason = "write"         // a write failed
	ReasonWriteTimeout Reason = "write_timeout" // the server does not read
	ReasonShutdown     Reason = "shutdown"      // we logged off
)

// SessionError is the end of a Session, or the failure to open one.
type SessionError struct {
	Reason Reason
	Err    error
}

func (e *SessionError) Error() string {
	if e.Err == nil {
		return string(e.Reason)
	}
	return fmt.Sprintf("%s: %v", e.Reason, e.Err)
}

// Unwrap returns the cause.
func (e *SessionError) Unwrap() error { return e.Err }

// ReasonOf returns the Reason in err, or ReasonRead for an error without one.
func ReasonOf(err error) Reason { return causeOf(err).Reason }

func causeOf(err error) *SessionError {
	if e, ok := errors.AsType[*SessionError](err); ok {
		return e
	}
	return &SessionError{ReasonRead, err}
}

func inUse(err error) bool { return errors.Is(err, errInUse) }

var (
	// ErrNotConnected means that the session an Action needs is not up. The
	// Action did not reach Asterisk: it may be sent again.
	ErrNotConnected = errors.New("not connected")
	// ErrBreakerOpen means that the server's breaker is open. The Action did not
	// reach Asterisk: it may be sent again after RetryIn.
	ErrBreakerOpen = errors.New("breaker open")
	// ErrBusy means that the write buffer or the pending actions are full. The
	// Action did not reach Asterisk: it may be sent again later.
	ErrBusy = errors.New("busy")
	// ErrNoActionID means that the server names no ActionID in its Pongs, and that
	// the Action's answer could not be told from those to our own Pings. It was not
	// sent, and will not be.
	ErrNoActionID = errors.New("the server answers Ping without an ActionID, so that the answer could not be told from that to " +
		"the bridge's own: ask for another Action, such as CoreStatus")
	// ErrWithdrawn is the cause of an Action that may not be written any more, as its May
	// has said. It did not reach Asterisk.
	ErrWithdrawn = errors.New("it may not be written any more")
	// ErrStopping means that the Link takes no more Actions.
	ErrStopping = errors.New("shutting down")

	// errInUse is a refusal that is not for the credentials: the user may have one
	// session, and has it (manager.c check_manager_session_inuse).
	errInUse = errors.New("the user is logged in already, and may be so once (allowmultiplelogin=no)")

	// errLeaving is what Asterisk says to every Action while it shuts down
	// (manager.c process_message).
	errLeaving = errors.New("not a refused login: try again once it is back")

	errSilent     = errors.New("the server sent nothing for too long")
	errPingMissed = errors.New("a Ping was not answered")
	errLoggedOff  = errors.New("logged off")
	errGoodbye    = errors.New("the server said Goodbye, unasked")
)
