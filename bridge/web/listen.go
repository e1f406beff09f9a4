package web

import (
	"context"
	"net"
	"runtime"
	"syscall"
	"time"
)

const (
	// vanished is after how long a browser counts as gone that does not even acknowledge what
	// reaches its machine: its network is away, or it sleeps. The kernel alone knows.
	vanished = 30 * time.Second
	// tcpUserTimeout is Linux's TCP_USER_TIMEOUT. Elsewhere the kernel takes its own time, a
	// quarter of an hour or so.
	tcpUserTimeout = 0x12
)

// Listen listens at addr for browsers, of whom those that vanish keep nobody's place for long.
func Listen(ctx context.Context, addr string) (net.Listener, error) {
	var c net.ListenConfig
	c.SetMultipathTCP(false) // whose connections do not have what their listener is told
	if runtime.GOOS == "linux" {
		c.Control = func(_, _ string, raw syscall.RawConn) error {
			return raw.Control(func(fd uintptr) { // connections have it from their listener; a kernel without it is as before
				_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpUserTimeout, int(vanished.Milliseconds()))
			})
		}
	}
	return c.Listen(ctx, "tcp", addr)
}
