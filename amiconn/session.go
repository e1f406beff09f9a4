package amiconn

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/setting"
	"github.com/ami-nats-bridge/ami-nats-bridge/correlation"
	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/socket"
)

// Role is what a Session is for.
type Role uint8

const (
	// RoleEvents reads events and sends nothing but Ping.
	RoleEvents Role = iota
	// RoleActions sends Actions and has events off. There may be several.
	RoleActions
	// RoleBoth does both on the one session that a server allows.
	RoleBoth
)

// String returns "event", "action" or "both".
func (r Role) String() string {
	return [...]string{"event", "action", "both"}[r]
}

// noDeadline clears a connection's deadline.
var noDeadline time.Time

// logoffWait is how long a Session waits for Goodbye before it just closes.
const logoffWait = 2 * time.Second

// Event is one AMI event as it was read.
type Event struct {
	// Session is the token of the login that it came by, Seq its number there,
	// from 1 without gaps.
	Session string
	Seq     uint64
	// At is when its last bytes were read.
	At time.Time
	// Frame is the event. It is valid only during the call. A Truncated one
	// was over MAX_FRAME_BYTES and is lost; so is a KindOther, what came in the
	// place of an event and is none.
	Frame *frames.Frame
}

// Clock is what a Pong says of the server's wall clock.
type Clock struct {
	// Born is when the session was connected, before its login.
	Born time.Time
	// Server is its time at some moment between Sent, when the Ping was queued,
	// and Received, when the Pong was read.
	Sent, Received, Server time.Time
}

// Hooks are what a Session tells. They are called on its reading goroutine,
// must not block and may be nil.
type Hooks struct {
	// Event is called for each event that is not part of a list, and for each
	// frame that came in the place of one.
	Event func(Event)
	// Corrupt is called for a frame that is neither Event nor Response, after
	// Event; also on a session that has no events.
	Corrupt func(size int)
	// Clock is called for each Pong of a session that reads events.
	Clock func(Clock)
	// State is called for each change of a session's state, by the goroutine
	// that supervises it.
	State func(Change)
	// Breaker is called for each change of the breaker, and once at the start,
	// by whoever caused it. It must not call the Link.
	Breaker func(BreakerChange)
}

// Session is one login on one connection. It dies once, with a cause. Send may
// be called from any goroutine.
type Session struct {
	// Token names this login in ActionIDs and event numbers.
	Token string
	Role  Role
	// Version is that of AMI, of the banner.
	Version string

	cfg    *Config
	ids    *correlation.IDs
	table  *correlation.Table
	hooks  Hooks
	counts *counts
	try    *try               // what the breaker knows of it, once it is up
	proven func()             // called each StableAfter that it stays up
	log    func() *zap.Logger // made when a line is, as the Link's
	conn   net.Conn
	socket *socket.Conn // conn, if it can write without waiting, as TLS cannot; or nil
	frames *frames.Reader
	chunk  int // the most that one write may hold, 0 for any
	pingID string

	secret   setting.Secret // as it was when the Session logged in
	key      setting.Secret // the answer to the challenge
	oldLists bool

	nameless     bool        // an answer to us had no ActionID; the reader's own
	namelessPong atomic.Bool // a Pong had none

	number         atomic.Uint64 // of the last ActionID
	seq            uint64        // of the last event; the reader's own
	pongs          uint64        // frames there were with the last Pong; the reader's own
	born           time.Time     // what lastRead and pingAt count from, on the monotonic clock
	readAt         time.Time     // of the last read; the reader's own
	lastRead       atomic.Int64  // nanoseconds
	pingAt         atomic.Int64  // nanoseconds, of the unanswered Ping; 0 for none
	skew           atomic.Int64  // nanoseconds that the server's clock is ahead
	expectingSince atomic.Int64  // nanoseconds, since when something is owed; 0 for nothing
	answeredAt     atomic.Int64  // nanoseconds, when an Action of this session's was last answered, in part or whole

	queue   *writeQueue
	writers sync.WaitGroup               // one at most, while something waits
	running atomic.Bool                  // Run has been called
	cause   atomic.Pointer[SessionError] // why the Session has died; nil while it lives
	left    atomic.Bool                  // it has logged off
}

// open connects and logs in. The Session that it returns has no goroutine yet:
// call Run.
func (l *Link) open(ctx context.Context, slot *slot, dialTimeout time.Duration) (*Session, error) {
	cfg := l.login.Load()
	secret, err := l.secret(cfg)
	if err != nil {
		return nil, &SessionError{ReasonSecret, err}
	}
	conn, err := dial(ctx, cfg, l.deps.Dial, dialTimeout)
	if err != nil {
		return nil, err
	}
	plain, _ := conn.(*socket.Conn)
	s := &Session{
		Token: l.ids.Session(), Role: slot.role, born: time.Now(),
		cfg: cfg, secret: secret, ids: l.ids, table: l.table, hooks: l.deps.Hooks, counts: &l.counts,
		conn: conn, socket: plain,
	}
	s.queue = newWriteQueue(int(cfg.WriteBufferBytes), func() { s.writers.Go(s.write) })
	s.log = func() *zap.Logger {
		return l.logger().With(zap.String("role", slot.name), zap.String("session", s.Token))
	}
	s.pingID = l.ids.ActionID(s.Token, 0)
	if cfg.TLS {
		s.chunk = tlsRecord
	}
	s.frames = frames.NewReader(s, int(cfg.MaxFrameBytes))
	s.frames.Split(func(head *frames.Frame) bool { return s.table.Streams(s.Token, head) })
	if err := s.login(ctx); err != nil {
		conn.Close()
		return nil, err
	}
	return s, nil
}

// Read reads from the connection and notes when. It makes the Session the
// source of its own frames.Reader.
func (s *Session) Read(p []byte) (int, error) {
	n, err := s.conn.Read(p)
	if n > 0 {
		s.readAt = time.Now()
		s.lastRead.Store(int64(s.readAt.Sub(s.born)))
		s.expectingSince.Store(0)
	}
	return n, err
}

// Run reads until the Session dies, joins its writer, fails its calls and returns
// the cause, a *SessionError. What is due meanwhile is the Link's to do (keeper).
func (s *Session) Run() error {
	if s.running.Store(true); s.cause.Load() == nil {
		s.read()
	}
	s.queue.close() // no writer begins behind it
	s.conn.Close()  // the writer ends, wherever it waits
	s.writers.Wait()
	cause := s.cause.Load()
	s.table.FailSession(s.Token, cause)
	return cause
}

// Skew returns how far the server's clock is ahead of ours, as of the last
// Ping; zero before it.
func (s *Session) Skew() time.Duration { return time.Duration(s.skew.Load()) }

// slowAnswer is how long Asterisk may say nothing to an Action before others
// rather go elsewhere. It answers most at once; one that takes its time, such
// as a sync Originate, holds up all behind it.
const slowAnswer = 100 * time.Millisecond

// behind reports whether Asterisk has said nothing for slowAnswer though there
// are Actions to be answered, also those whose callers have given up.
func (s *Session) behind(pending int) bool {
	since := s.expectingSince.Load()
	if since == 0 {
		if pending == 0 {
			return false
		}
		since = s.lastRead.Load()
	}
	return time.Since(s.born)-time.Duration(since) > slowAnswer
}

// watch returns done, which first notes if an Action's caller has given up that
// Asterisk may still be at.
func (s *Session) watch(done func(*correlation.Result)) func(*correlation.Result) {
	return func(r *correlation.Result) {
		if r.Outcome == correlation.TimedOut && r.Sent == correlation.SentUnknown {
			s.expectAnswer()
		}
		done(r)
	}
}

// expectAnswer notes that Asterisk owes something from now on, if it does not already.
func (s *Session) expectAnswer() {
	s.expectingSince.CompareAndSwap(0, max(1, int64(time.Since(s.born))))
}

// end kills the Session with the cause, unless it is dead already. Its reader, wherever it
// waits, returns and closes the connection.
func (s *Session) end(reason Reason, err error) {
	s.cause.CompareAndSwap(nil, &SessionError{reason, err})
	if s.running.Load() { // else Run sees it
		_ = s.conn.SetReadDeadline(time.Unix(1, 0)) // it is closed otherwise
	}
}

// logoff asks Asterisk to end the session. It is called once (upkeep.logoff).
func (s *Session) logoff() {
	s.left.Store(true)
	if data, err := frames.AppendAction(nil, []frames.Header{header("Action", "Logoff")}); err == nil {
		s.push(data)
	}
}

// push writes a Ping or a Logoff, at once if that needs no waiting.
func (s *Session) push(data []byte) {
	s.queue.exceed(len(data))
	if o := (outgoing{data: data}); !s.writeNow(o) {
		s.queue.commit(o)
	}
}

// send registers call and queues its Action, which is written if may says so, or is nil. An error means that nothing was
// sent and Done will not be called.
func (s *Session) send(call correlation.Call, data []byte, may func() bool) error {
	if correlation.Fenced(call.Action) {
		ping, err := frames.AppendAction(nil, []frames.Header{
			header("Action", "Ping"), header("ActionID", call.ActionID),
		})
		if err != nil {
			return err
		}
		data = slices.Concat(ping, data, ping)
	}
	if err := s.queue.reserve(len(data)); err != nil {
		if errors.Is(err, ErrBusy) {
			s.counts.writeRefused.Add(1)
		}
		return err
	}
	if err := s.table.Register(call); err != nil {
		s.queue.cancel(len(data))
		if errors.Is(err, correlation.ErrSessionEnded) {
			return fmt.Errorf("%w: %w", ErrNotConnected, err)
		}
		s.counts.callsRefused.Add(1)
		return fmt.Errorf("%w: %w", ErrBusy, err)
	}
	s.expectAnswer()
	o := outgoing{id: call.ActionID, data: data, may: may}
	if s.writeNow(o) {
		return nil
	}
	// A Session that died since the reservation has perhaps failed its calls
	// already: this one then has to be failed here.
	if !s.queue.commit(o) {
		s.table.FailSession(s.Token, s.cause.Load())
	}
	return nil
}
