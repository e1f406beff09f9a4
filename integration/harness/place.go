package harness

import (
	"strconv"
	"testing"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
	natsserver "github.com/nats-io/nats-server/v2/server"
)

// Place is where a nats-server runs, from one start to the next.
type Place struct {
	t      *testing.T
	Port   int
	store  string
	Server *natsserver.Server
}

// NewPlace returns one at which no nats-server runs yet.
func NewPlace(t *testing.T) *Place {
	t.Helper()
	p := &Place{t: t, Port: Port(t), store: t.TempDir()}
	t.Cleanup(func() {
		if p.Server != nil {
			p.Stop()
		}
	})
	return p
}

// Start starts a nats-server whose options change may change; nil: none.
func (p *Place) Start(change func(*natsserver.Options)) {
	p.t.Helper()
	options := &natsserver.Options{
		Host: "127.0.0.1", Port: p.Port, JetStream: true, StoreDir: p.store, NoSigs: true, NoLog: true,
		AuthTimeout: Patience.Seconds(), TLSTimeout: Patience.Seconds(),
		LameDuckDuration: 3 * time.Second, LameDuckGracePeriod: 2 * time.Second,
	}
	if change != nil {
		change(options)
	}
	p.Server = natstest.Launch(p.t, options)
}

// Stop ends the nats-server in order.
func (p *Place) Stop() {
	p.Server.Shutdown()
	p.Server.WaitForShutdown()
}

// URL is where clients connect.
func (p *Place) URL() string { return "nats://127.0.0.1:" + strconv.Itoa(p.Port) }
