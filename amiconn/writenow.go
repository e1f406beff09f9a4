package amiconn

import (
	"errors"
	"net"
	"syscall"
)

// socketOf returns what writes to conn without waiting; nil if conn is none of the system's
// sockets, as with TLS.
func socketOf(conn net.Conn) syscall.RawConn {
	c, ok := conn.(*net.TCPConn)
	if !ok {
		return nil
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return nil // it is closed
	}
	return raw
}

// writeNow writes o at once, on the goroutine of who asks, if nobody else writes and the
// socket takes it without waiting: so the writer does not have to be woken up for it. What
// the socket does not take is the writer's. It reports whether o is in hand; else it is to be
// queued.
func (s *Session) writeNow(o outgoing) bool {
	if s.socket == nil || !s.queue.begin() {
		return false
	}
	if !s.writes(o) {
		s.queue.cancel(len(o.data))
		s.queue.wrote(outgoing{})
		return true
	}
	n, err := writeOnce(s.socket, o.data)
	if err != nil {
		s.end(ReasonWrite, err)
	}
	if n == len(o.data) || err != nil {
		s.queue.cancel(len(o.data))
		s.queue.wrote(outgoing{})
		return true
	}
	if n == 0 { // it has not begun, and whether it may is asked again
		if o.id != "" {
			s.table.Unsent(o.id)
		}
		s.queue.wrote(o)
		return true
	}
	s.queue.give(n)
	s.queue.wrote(outgoing{data: o.data[n:]})
	return true
}

// writeOnce writes what socket takes of data without waiting, and returns how much that was.
func writeOnce(socket syscall.RawConn, data []byte) (n int, err error) {
	closed := socket.Write(func(fd uintptr) bool {
		for {
			n, err = syscall.Write(int(fd), data)
			if !errors.Is(err, syscall.EINTR) {
				return true // also if it has to wait: it is not waited for here
			}
		}
	})
	switch {
	case closed != nil:
		return 0, closed
	case errors.Is(err, syscall.EAGAIN):
		return 0, nil
	}
	return max(n, 0), err
}
