package natstest

import (
	"errors"
	"net"
	"syscall"
	"testing"
)

// Whoever asks the system for any port, to listen or to connect, does not get the one of a
// nats-server that a test has ended and will start again.
func TestServe_KeepsItsPort(t *testing.T) {
	s, another := Serve(t, nil), Serve(t, nil)
	addr := s.Addr()
	s.Shutdown()
	s.WaitForShutdown()
	conn, err := (&net.Dialer{LocalAddr: addr}).DialContext(t.Context(), "tcp", another.Addr().String())
	if err == nil {
		conn.Close()
	}
	if !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("%v is free while no nats-server runs there: %v", addr, err)
	}
	if again := Start(t, t.TempDir(), addr.(*net.TCPAddr).Port); again.Addr().String() != addr.String() {
		t.Errorf("it is at %v, and was at %v", again.Addr(), addr)
	}
}
