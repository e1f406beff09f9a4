package amiconn

import (
	"net"
	"testing"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/internal/socket"
)

// A session's reads and writes do not wake up the runtime's monitor.
func TestDial_TellsTheSchedulerNothing(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	cfg := DefaultConfig()
	cfg.Addr = listener.Addr().String()
	conn, err := dial(t.Context(), &cfg, new(net.Dialer).DialContext, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, ok := conn.(*socket.Conn); !ok {
		t.Errorf("it is a %T", conn)
	}
}
