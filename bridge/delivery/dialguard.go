package delivery

import (
	"errors"
	"net"
	"sync/atomic"

	"github.com/nats-io/nats.go"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/natsconn"
)

// DialGuard keeps the order of the events through a quick reconnect, which goes by
// between two of them: what was lost with the old connection must not be
// overtaken by what is sent on the new one. nats.go does not tell which
// connection a message goes out by. So no connection is opened while one is
// being sent, and none is sent once one was opened that the publisher has not
// seen. Neither waits: whoever comes second gives up and tries again.
//
// Its methods may be called from any goroutine. InProcess is set before its use.
type DialGuard struct {
	InProcess nats.InProcessConnProvider // of a server in this process, or nil
	begun     atomic.Uint64
	sending   atomic.Bool
}

var errSending = errors.New("a message is being sent on the connection before")

// Option has nats.go open its connections here.
func (d *DialGuard) Option() nats.Option {
	if d.InProcess != nil {
		return nats.InProcessServer(d)
	}
	return nats.SetCustomDialer(d)
}

// Dial opens a connection for nats.go.
func (d *DialGuard) Dial(network, addr string) (net.Conn, error) {
	if err := d.begin(); err != nil {
		return nil, err
	}
	return natsconn.Dialer{}.Dial(network, addr)
}

// InProcessConn opens one within the process.
func (d *DialGuard) InProcessConn() (net.Conn, error) {
	if err := d.begin(); err != nil {
		return nil, err
	}
	return d.InProcess.InProcessConn()
}

func (d *DialGuard) begin() error {
	d.begun.Add(1)
	if d.sending.Load() {
		return errSending
	}
	return nil
}

// enter reports whether a message may be sent by whoever has seen so many
// connects; if so, leave ends the sending.
func (d *DialGuard) enter(seen uint64) bool {
	d.sending.Store(true)
	if d.begun.Load() == seen {
		return true
	}
	d.leave()
	return false
}

func (d *DialGuard) leave() { d.sending.Store(false) }
