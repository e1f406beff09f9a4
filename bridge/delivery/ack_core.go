package delivery

import (
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/natsconn"
)

// coreMode publishes without a stream. An event counts as published once
// the server has answered a ping that came behind it. Subscribers that are not
// there miss it; an event whose ping failed is sent again, so that a subscriber
// may see it twice, with the same Nats-Msg-Id. An answer on a new connection
// says nothing about what was sent on the one before it.
type coreMode struct {
	conn    *natsconn.Conn
	guard   *DialGuard // of conn
	window  *window
	begun   bool   // something was sent since the last pause
	dialled uint64 // when it began
}

// coreFlush bounds the wait for that ping.
const coreFlush = 2 * time.Second

func (*coreMode) name() string { return modeCore }

func (*coreMode) room() bool { return true }

func (d *coreMode) prepare(*nats.Msg, int, uint64, bool, time.Time) {
	if !d.begun {
		d.begun, d.dialled = true, d.guard.begun.Load()
	}
}

func (d *coreMode) pause(bool) error {
	if !d.begun {
		return nil
	}
	d.begun = false
	if err := d.conn.Get().FlushTimeout(coreFlush); err != nil {
		return fmt.Errorf("flush: %w", err)
	}
	if d.guard.begun.Load() != d.dialled {
		return nats.ErrDisconnected
	}
	d.window.ackAll()
	return nil
}
