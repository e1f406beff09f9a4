package amisim

import (
	"crypto/tls"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// writeSize is the most bytes of one Write, each with a WriteTimeout of
	// its own, and of events taken between two actions.
	writeSize = 16 << 10
	// tlsRead is how much of a TLS record get_input takes at once.
	tlsRead = 1024
)

// Session is one client's connection.
type Session struct {
	srv      *Server
	listener net.Listener
	conn     net.Conn // TLS, or raw
	raw      net.Conn
	done     chan struct{} // closed by end
	endOnce  sync.Once
	hungUp   chan struct{} // closed when the client has hung up
	actions  chan *Action  // unbuffered: one action at a time
	wake     chan struct{} // events are queued

	loggedIn  atomic.Bool
	user      string // set before loggedIn
	challenge string // of the goroutine of run, as are the two below
	closing   bool   // to be closed after this action
	scratch   []byte

	mu     sync.Mutex // protects following
	mask   mask
	queue  [][]byte
	queued int // bytes
}

func (s *Server) newSession(raw net.Conn, l net.Listener) *Session {
	sess := &Session{
		srv: s, listener: l, conn: raw, raw: raw,
		done:    make(chan struct{}),
		hungUp:  make(chan struct{}),
		actions: make(chan *Action),
		wake:    make(chan struct{}, 1),
	}
	if s.cfg.TLS != nil {
		sess.conn = tls.Server(raw, s.cfg.TLS)
	}
	return sess
}

// run is the session's thread (manager.c session_do): it answers actions and
// sends events, one after the other.
func (s *Session) run() {
	var wg sync.WaitGroup
	wg.Go(s.read)
	defer wg.Wait()
	defer s.end()
	expired := time.AfterFunc(s.srv.cfg.AuthTimeout, func() {
		if !s.loggedIn.Load() {
			s.end()
		}
	})
	defer expired.Stop()
	s.perform(&Action{Name: Accept})
	for !s.ended() {
		select {
		case <-s.done:
		case <-s.hungUp:
			return
		case a := <-s.actions:
			s.perform(a)
			if s.closing {
				s.Close()
			}
		case <-s.wake:
			s.flush()
		}
	}
}

// perform has a answered, by a Fault if one is set.
func (s *Session) perform(a *Action) {
	if f := s.srv.fault(a.Name); f != nil {
		f(s, a)
		return
	}
	s.Serve(a)
}

// Serve does with a what a Server without faults does. For Accept that is the
// banner.
func (s *Session) Serve(a *Action) { s.Write(s.Reply(a)) }

// Reply performs a and returns the frames to answer with, without writing
// them. Logoff and a refused login close the session when the Fault returns.
func (s *Session) Reply(a *Action) []byte {
	r := &reply{sess: s, srv: s.srv, a: a}
	r.perform()
	return r.out
}

// Write writes b as it is. If the client takes nothing for the WriteTimeout,
// or has hung up, the session is cut; b may then be sent in part.
func (s *Session) Write(b []byte) {
	// The handshake, if it is still to be made, has no time limit but that of
	// the login.
	if c, ok := s.conn.(*tls.Conn); ok && c.Handshake() != nil {
		s.end()
	}
	for len(b) > 0 && !s.ended() {
		s.srv.writes.pass(s.done)
		chunk := b[:min(len(b), writeSize)]
		s.conn.SetWriteDeadline(time.Now().Add(s.srv.cfg.WriteTimeout))
		if _, err := s.conn.Write(chunk); err != nil {
			s.end()
			return
		}
		b = b[len(chunk):]
	}
}

// Sleep waits for d, or until the session ends or the client hangs up.
func (s *Session) Sleep(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.done:
	case <-s.hungUp:
	}
}

// Stall waits until the session ends or the client hangs up. Meanwhile nothing
// is answered, no event is sent, and at most one more action is read.
func (s *Session) Stall() {
	select {
	case <-s.done:
	case <-s.hungUp:
	}
}

// Close ends the session: the client reads what was written, then EOF.
func (s *Session) Close() {
	if c, ok := s.conn.(*tls.Conn); ok && !s.ended() {
		c.CloseWrite()
	}
	s.end()
}

// Abort ends the session with a reset. Where the connection knows no such
// thing it is a Close.
func (s *Session) Abort() {
	s.endOnce.Do(func() {
		close(s.done)
		abort(s.raw)
	})
}

// end does not block. Closing the raw connection wakes whoever reads or writes.
func (s *Session) end() {
	s.endOnce.Do(func() {
		close(s.done)
		s.raw.Close()
	})
}

func (s *Session) ended() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

// read parses what the client sends and hands it over, action by action.
func (s *Session) read() {
	defer close(s.hungUp)
	var in input
	var rest []byte
	buf := make([]byte, writeSize)
	for {
		n, err := s.conn.Read(buf)
		s.srv.reads.pass(s.done)
		if s.srv.cfg.TLS != nil {
			// tls.Conn.Read returns one record at most. get_input polls the
			// socket and not what OpenSSL holds, so what it did not take of a
			// record waits for the next one.
			s.sawRecord(int64(n))
			if !in.feed(rest, s.hand) || !in.feed(buf[:min(n, tlsRead)], s.hand) {
				return
			}
			rest = append(rest[:0], buf[min(n, tlsRead):n]...)
		} else if !in.feed(buf[:n], s.hand) {
			return
		}
		if err != nil {
			return
		}
	}
}

func (s *Session) sawRecord(n int64) {
	for old := s.srv.record.Load(); n > old; old = s.srv.record.Load() {
		if s.srv.record.CompareAndSwap(old, n) {
			return
		}
	}
}

func (s *Session) hand(a *Action) bool {
	s.srv.count(a.Name)
	select {
	case s.actions <- a:
		return true
	case <-s.done:
		return false
	}
}
