package delivery

import (
	"errors"
	"time"

	"github.com/nats-io/nats.go"
)

// ackMode is how published events are acknowledged. Its methods are the
// publisher's.
type ackMode interface {
	// name names it for operators.
	name() string
	// prepare completes msg, which is the number'th of source and is sent next;
	// last if it is known that none follows now.
	prepare(msg *nats.Msg, source int, number uint64, last bool, now time.Time)
	// room reports whether more may be sent now.
	room() bool
	// pause is called when nothing more is sent now: because nothing waits if
	// idle, else for want of room. It may wait for NATS. Its error is that of
	// everything in flight.
	pause(idle bool) error
}

const (
	modeFast   = "fast_ingest"
	modeWindow = "window"
	modeCore   = "core"
)

// Modes are the ways in which events are acknowledged, as ami.nodes and the metrics
// name them.
var Modes = []string{modeFast, modeWindow, modeCore}

// errNewMode has what is in flight be sent again in another mode.
var errNewMode = errors.New("another ack mode")

// errOthers is a batch that ended because of another server's event.
var errOthers = errors.New("another server's event was refused")
