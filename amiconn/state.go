package amiconn

import "time"

// State is where a Link stands with one of its sessions.
type State uint8

const (
	// StateDown is a session that was not tried yet.
	StateDown State = iota
	// StateConnecting waits for its turn, dials and logs in.
	StateConnecting
	// StateUp is logged in.
	StateUp
	// StateWaiting waits before the next try.
	StateWaiting
	// StateStopped is the end: the Link was told to stop.
	StateStopped
)

// String returns the state as status messages spell it.
func (s State) String() string {
	return [...]string{"down", "connecting", "up", "waiting", "stopped"}[s]
}

// Change is one step of a session's state.
type Change struct {
	// Name says which of the Link's sessions it is: event, action, action2,
	// action3 and so on, or both.
	Name     string
	Role     Role
	From, To State
	At       time.Time
	// Session is the login's token and Version that of its AMI, for StateUp
	// and for the state that follows it.
	Session, Version string
	// Reason and Err say why a session is not up.
	Reason Reason
	Err    error
	// Failures counts the tries since the last session that stayed up.
	Failures int
	// RetryIn is how long StateWaiting lasts.
	RetryIn time.Duration
	// Events is how many events the session that ended had numbered.
	Events uint64

	overruled bool // by the breaker, before it could connect: no failure of its own
}
