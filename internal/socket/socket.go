package socket

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// Conn is a TCP connection for one reader and one writer at a time; its other methods may
// be called from any goroutine.
type Conn struct {
	net.Conn
	raw     syscall.RawConn
	in, out transfer

	mu      sync.Mutex // protects the following
	until   time.Time  // the deadline of writing, which the system's connection has while a write waits
	waiting bool
}

// transfer is the one call of its direction that is being made.
type transfer struct {
	p     []byte
	n     int
	errno syscall.Errno
	try   func(fd uintptr) (done bool) // made once, for it would be garbage each time
}

// Of returns c as a *Conn if it is a connection of the system's, else c itself.
func Of(c net.Conn) net.Conn {
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		return c
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return c // it is closed
	}
	own := &Conn{Conn: c, raw: raw}
	own.in.try = func(fd uintptr) bool {
		own.in.n, own.in.errno = read(fd, own.in.p)
		return own.in.errno != syscall.EAGAIN
	}
	own.out.try = func(fd uintptr) bool {
		own.out.n, own.out.errno = write(fd, own.out.p)
		return true // also if it has to wait, which is not done here
	}
	return own
}

// Read is that of net.Conn.
func (c *Conn) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	c.in.p = p
	err := c.raw.Read(c.in.try)
	c.in.p = nil
	switch {
	case err != nil:
		return 0, c.failed("read", err)
	case c.in.errno != 0:
		return 0, c.failed("read", os.NewSyscallError("read", c.in.errno))
	case c.in.n == 0:
		return 0, io.EOF
	}
	return c.in.n, nil
}

// Write is that of net.Conn.
func (c *Conn) Write(p []byte) (int, error) {
	n, err := c.WriteNow(p)
	if err != nil || n == len(p) {
		return n, err
	}
	if err := c.wait(true); err != nil {
		return n, err
	}
	more, err := c.Conn.Write(p[n:])
	return n + more, errors.Join(err, c.wait(false))
}

// WriteNow writes what c takes of p without waiting, be it nothing, and returns how much
// that was.
func (c *Conn) WriteNow(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	c.out.p = p
	err := c.raw.Write(c.out.try)
	c.out.p = nil
	switch {
	case err != nil:
		return 0, c.failed("write", err)
	case c.out.errno == syscall.EAGAIN:
		return 0, nil
	case c.out.errno != 0:
		return 0, c.failed("write", os.NewSyscallError("write", c.out.errno))
	}
	return c.out.n, nil
}

// SetDeadline is that of net.Conn.
func (c *Conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// SetWriteDeadline is that of net.Conn, and costs a timer only if a write has to wait.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.until = t
	if c.waiting {
		return c.Conn.SetWriteDeadline(t)
	}
	return nil
}

// wait has the deadline of writing hold from now on, or no more: it must not end what does
// not wait.
func (c *Conn) wait(on bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waiting = on
	if on {
		return c.Conn.SetWriteDeadline(c.until)
	}
	return c.Conn.SetWriteDeadline(time.Time{})
}

// failed is err as a net.Conn has it.
func (c *Conn) failed(op string, err error) error {
	if raw, ok := errors.AsType[*net.OpError](err); ok {
		err = raw.Err // its op is raw-read or raw-write
	}
	return &net.OpError{Op: op, Net: "tcp", Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: err}
}
