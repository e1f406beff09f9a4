package amisim

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// maxCounted bounds the names of actions that Received tells apart.
const maxCounted = 1000

// Server is one simulated Asterisk.
type Server struct {
	cfg       Config
	actions   map[string]row // by lower-case name; read-only
	started   time.Time      // by its own clock
	schedule  schedule
	reads     gate
	writes    gate
	changed   signal // sessions or the room in their queues
	channels  atomic.Int64
	emitted   atomic.Int64
	record    atomic.Int64
	skew      atomic.Int64 // of the clock, nanoseconds
	variables variables
	live      liveChannels

	mu       sync.Mutex // protects following
	sessions map[*Session]struct{}
	received map[string]int
	scripts  map[string]*script
}

// New returns a Server that serves nobody yet.
func New(cfg Config) *Server {
	cfg.setDefaults()
	s := &Server{
		cfg:      cfg,
		actions:  make(map[string]row),
		sessions: make(map[*Session]struct{}),
		received: make(map[string]int),
		scripts:  make(map[string]*script),
	}
	major, _ := cfg.version()
	for _, r := range table() {
		if r.last == 0 || major <= r.last {
			s.actions[strings.ToLower(r.name)] = r
		}
	}
	s.skew.Store(int64(cfg.ClockSkew))
	s.started = s.now()
	s.schedule.wake = make(chan struct{}, 1)
	for _, name := range cfg.Channels {
		s.live.put(s.newChannel(name, "from-internal", "s"))
	}
	return s
}

// Serve accepts sessions on l until ctx ends or l is closed. Then it closes l
// and every session it accepted, waits for their goroutines, and returns nil;
// an error is l's own. Several Serve of one Server, each on a listener of its
// own, may run at once.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		<-ctx.Done()
		l.Close()
		s.each(func(sess *Session) {
			if sess.listener == l {
				sess.end()
			}
		})
	})
	wg.Go(func() { s.schedule.run(ctx) })
	err := s.accept(ctx, l, &wg)
	cancel()
	wg.Wait()
	return err
}

func (s *Server) accept(ctx context.Context, l net.Listener, wg *sync.WaitGroup) error {
	for {
		conn, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("accept: %w", err)
		}
		sess := s.newSession(conn, l)
		s.mu.Lock()
		s.sessions[sess] = struct{}{}
		s.mu.Unlock()
		if ctx.Err() != nil {
			sess.end()
		}
		wg.Go(func() {
			sess.run()
			s.mu.Lock()
			delete(s.sessions, sess)
			s.mu.Unlock()
			s.changed.notify()
		})
	}
}

// Sessions returns how many connections are open, logged in or not.
func (s *Server) Sessions() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.sessions)
}

// WaitEventSessions waits until at least n sessions are logged in with events
// on.
func (s *Server) WaitEventSessions(ctx context.Context, n int) error {
	return s.wait(ctx, func() bool {
		ready := 0
		s.each(func(sess *Session) {
			if sess.wantsEvents() {
				ready++
			}
		})
		return ready >= n
	})
}

// wait returns once cond holds; cond is asked again after each s.changed.
func (s *Server) wait(ctx context.Context, cond func() bool) error {
	for {
		changed := s.changed.wait()
		if cond() {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Kick closes every session: the peers read what was sent and then EOF.
func (s *Server) Kick() { s.each((*Session).end) }

// Abort resets every session: the peers get ECONNRESET.
func (s *Server) Abort() { s.each((*Session).Abort) }

// FreezeReads stops reading from every session, like a server that hangs,
// until thaw is called: a client's writes fill the buffers and then wait.
// What was read before is still answered.
func (s *Server) FreezeReads() (thaw func()) { return s.reads.shut() }

// FreezeWrites stops writing to every session until thaw is called. Events
// queue up meanwhile, see Emit.
func (s *Server) FreezeWrites() (thaw func()) { return s.writes.shut() }

// Received returns how many actions of a name have been received, whatever
// case they were spelled in.
func (s *Server) Received(action string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.received[strings.ToLower(action)]
}

func (s *Server) count(action string) {
	key := strings.ToLower(action)
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.received[key]; known || len(s.received) < maxCounted {
		s.received[key]++
	}
}

// LargestRecord returns the most bytes one TLS record of a client has carried.
// Over 1024 of them stall a real Asterisk.
func (s *Server) LargestRecord() int { return int(s.record.Load()) }

// each calls f, which must not block, with every session.
func (s *Server) each(f func(*Session)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for sess := range s.sessions {
		f(sess)
	}
}

// SetClock makes the server's clock skew ahead of the real one from now on, or
// behind it, as when somebody sets the time. Nothing else moves with it.
func (s *Server) SetClock(skew time.Duration) { s.skew.Store(int64(skew)) }

func (s *Server) now() time.Time { return time.Now().Add(time.Duration(s.skew.Load())) }
