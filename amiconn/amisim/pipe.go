package amisim

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// newPipe returns the two ends of a connection that holds size bytes a way.
func newPipe(client, server net.Addr, size int) (a, b *pipeConn) {
	out, in := newFlow(size), newFlow(size)
	return &pipeConn{in: in, out: out, local: client, remote: server},
		&pipeConn{in: out, out: in, local: server, remote: client}
}

// pipeConn is one end. Like a *net.TCPConn it has CloseWrite, and SetLinger(0)
// makes Close a reset.
type pipeConn struct {
	in, out       *flow
	local, remote net.Addr
	mu            sync.Mutex // protects following
	reset         bool
}

func (c *pipeConn) Read(p []byte) (int, error) {
	n, err := c.in.read(p)
	if err != nil && err != io.EOF {
		err = &net.OpError{Op: "read", Net: "sim", Source: c.local, Addr: c.remote, Err: err}
	}
	return n, err
}

func (c *pipeConn) Write(p []byte) (int, error) {
	n, err := c.out.write(p)
	if err != nil {
		err = &net.OpError{Op: "write", Net: "sim", Source: c.local, Addr: c.remote, Err: err}
	}
	return n, err
}

// Close ends both directions. The peer reads what is buffered and then EOF; or,
// after SetLinger(0), at once ECONNRESET.
func (c *pipeConn) Close() error {
	c.mu.Lock()
	reset := c.reset
	c.mu.Unlock()
	fate := io.EOF
	if reset {
		fate = syscall.ECONNRESET
	}
	c.out.end(net.ErrClosed, fate)
	c.in.end(syscall.EPIPE, net.ErrClosed)
	return nil
}

// CloseWrite lets the peer read EOF, while reading here goes on.
func (c *pipeConn) CloseWrite() error {
	c.out.end(net.ErrClosed, io.EOF)
	return nil
}

// SetLinger(0) makes Close a reset.
func (c *pipeConn) SetLinger(seconds int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reset = seconds == 0
	return nil
}

func (c *pipeConn) LocalAddr() net.Addr  { return c.local }
func (c *pipeConn) RemoteAddr() net.Addr { return c.remote }

// SetDeadline sets both deadlines.
func (c *pipeConn) SetDeadline(t time.Time) error {
	c.in.setDeadline(&c.in.reading, t)
	c.out.setDeadline(&c.out.writing, t)
	return nil
}

// SetReadDeadline is that of net.Conn.
func (c *pipeConn) SetReadDeadline(t time.Time) error {
	c.in.setDeadline(&c.in.reading, t)
	return nil
}

// SetWriteDeadline is that of net.Conn.
func (c *pipeConn) SetWriteDeadline(t time.Time) error {
	c.out.setDeadline(&c.out.writing, t)
	return nil
}

// flow is one direction. Waiting is sync.Cond.Wait, which does not hold the
// mutex and which synctest counts as durably blocked.
type flow struct {
	size int

	mu       sync.Mutex // protects following
	changed  sync.Cond
	buf      []byte
	readErr  error // what the reader gets; io.EOF only once buf is empty
	writeErr error
	reading  deadline
	writing  deadline
}

type deadline struct {
	at    time.Time
	timer *time.Timer
}

func (d *deadline) passed() bool { return !d.at.IsZero() && !time.Now().Before(d.at) }

func newFlow(size int) *flow {
	f := &flow{size: size}
	f.changed.L = &f.mu
	return f
}

func (f *flow) read(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for {
		switch {
		case f.readErr != nil && f.readErr != io.EOF:
			return 0, f.readErr
		case f.reading.passed():
			return 0, os.ErrDeadlineExceeded
		case len(f.buf) > 0 || len(p) == 0:
			n := copy(p, f.buf)
			f.buf = f.buf[:copy(f.buf, f.buf[n:])]
			f.changed.Broadcast()
			return n, nil
		case f.readErr != nil:
			return 0, f.readErr
		}
		f.changed.Wait()
	}
}

func (f *flow) write(p []byte) (n int, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for {
		switch {
		case f.writeErr != nil:
			return n, f.writeErr
		case f.writing.passed():
			return n, os.ErrDeadlineExceeded
		case len(p) == 0:
			return n, nil
		}
		if room := min(f.size-len(f.buf), len(p)); room > 0 {
			f.buf = append(f.buf, p[:room]...)
			p, n = p[room:], n+room
			f.changed.Broadcast()
			continue
		}
		f.changed.Wait()
	}
}

// end sets what the writer and the reader get from now on; the first call's
// word stands, but a reset overrides an EOF, and a close by the reader's own
// side anything.
func (f *flow) end(writeErr, readErr error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.writeErr == nil {
		f.writeErr = writeErr
	}
	if f.readErr == nil || f.readErr == io.EOF {
		f.readErr = readErr
	}
	if readErr == net.ErrClosed {
		f.buf = nil
	}
	f.changed.Broadcast()
}

func (f *flow) setDeadline(d *deadline, t time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	d.at = t
	switch {
	case t.IsZero():
		if d.timer != nil {
			d.timer.Stop()
		}
	case d.timer == nil:
		d.timer = time.AfterFunc(time.Until(t), f.wake)
	default:
		d.timer.Reset(time.Until(t))
	}
	f.changed.Broadcast()
}

func (f *flow) wake() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.changed.Broadcast()
}

// abort closes conn with a reset where it can be.
func abort(conn net.Conn) {
	if c, ok := conn.(interface{ SetLinger(int) error }); ok {
		c.SetLinger(0)
	}
	conn.Close()
}
