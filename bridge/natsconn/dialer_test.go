package natsconn

import (
	"net"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/ami-nats-bridge/ami-nats-bridge/internal/socket"
)

// The bridge's reads and writes do not wake up the runtime's monitor.
func TestConn_TellsTheSchedulerNothing(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	var all nats.Options
	for _, option := range new(Conn).ours() {
		if err := option(&all); err != nil {
			t.Fatal(err)
		}
	}
	conn, err := all.CustomDialer.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, ok := conn.(*socket.Conn); !ok {
		t.Errorf("it is a %T", conn)
	}
}
