package state

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/clock"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/present"
	"github.com/ami-nats-bridge/ami-nats-bridge/correlation"
	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
)

// Link is how lists are asked for: an amiconn.Link.
type Link interface {
	Do(amiconn.Action) (string, error)
	Takes() bool
}

// Server is what is up at one server. OnEvent and OnSession are hooks of its Link, and
// Acted may be called from any goroutine; none of them waits. A nil Server, of which
// nothing is kept, takes them all.
type Server struct {
	state   *State
	cfg     *config.ServerConfig
	log     *zap.Logger
	link    Link
	present *present.Present
	holder  *holder
	gone    atomic.Bool             // nothing is done or written of it any more
	unfit   atomic.Bool             // a value was larger than the bucket takes, and the log has told
	woken   atomic.Bool             // a session has changed, or what is due has
	end     atomic.Pointer[listEnd] // of the list under way: there is only one

	dirty  atomic.Bool // something is to be written; the writer takes it off
	counts struct {
		lists, failed   atomic.Uint64
		writes, refused atomic.Uint64
		syncNanos       atomic.Int64
	}

	up      atomic.Int64  // when the event session came, in nanoseconds since the holder began; 0: it is not up
	changes atomic.Uint64 // of the event session
	written atomic.Uint64 // up to which of them the server's key says it

	asking  sync.WaitGroup     // the goroutine that asks the bucket, if there is one
	stop    context.CancelFunc // of that; of servers.mu
	waiting atomic.Bool        // it has not ended: all below is its own

	// Of who drives all servers (servers.run).
	asked     *present.Run  // the list that is under way
	left      string        // "": what was left in the bucket is known, and purged; or how far that is
	knows     bool          // it was so since the key is held
	lookAt    time.Time     // when it is looked again at what the bucket has, and how long
	lookSpan  time.Duration // that is from one look to the next
	trySpan   time.Duration // the same after a look that failed; 0: none has
	failed    string        // why the last look did, as the log has it
	resync    time.Time
	roundFrom time.Time // of the lists that are being asked for
	value     []byte    // of the key; reused
}

// What is to be done about keys that the bucket has from before.
const (
	toList  = "list"
	toPurge = "purge"
)

const (
	// look is how often it is looked at what is due.
	look = 500 * time.Millisecond
	// bootTime is how long FullyBooted may take. Asterisk sends it right behind the
	// login, but not to a user who may not read class system.
	bootTime = 10 * time.Second
	// retryTime is how soon a list that never came is asked for again.
	retryTime = time.Second
	// objectBytes is what an object may take, of all that may be held.
	objectBytes = 2 << 10
	// lookAgain is how soon the bucket is looked at again: what another bridge wrote may come
	// late, for the network keeps what was sent to a nats-server that was cut off. Each further
	// look waits twice as long, up to StateResync.
	lookAgain = 5 * time.Second
	// tryAgain is how soon a look is tried again that has failed, longestTry how late, with waits
	// that double: a thousand servers may fail alike, for want of a right or of a consumer.
	tryAgain   = time.Second
	longestTry = time.Minute
	// leftFactor is how many more keys than objects are taken up from before.
	leftFactor = 10
)

// kindsOf are the kinds behind the words of BRIDGE_AMI_STATE.
var kindsOf = map[string]present.Set{
	"channels":      present.SetOf(present.Channel),
	"bridges":       present.SetOf(present.Bridge),
	"queues":        present.SetOf(present.Queue, present.Member, present.Caller),
	"parking":       present.SetOf(present.Parked),
	"conferences":   present.SetOf(present.Conference, present.Participant),
	"extensions":    present.SetOf(present.Extension),
	"agents":        present.SetOf(present.Agent),
	"presence":      present.SetOf(present.Presence),
	"contacts":      present.SetOf(present.Contact),
	"registrations": present.SetOf(present.Registration),
	"devices":       present.SetOf(present.Device),
}

func newServer(state *State, cfg *config.ServerConfig) *Server {
	var keep present.Set
	for _, word := range cfg.State {
		keep |= kindsOf[word]
	}
	all := state.o.Config
	s := &Server{
		state: state, cfg: cfg, log: state.o.Log.WithLazy(zap.String("server", cfg.Name)), // it seldom logs a line
		holder: newHolder(cfg.Name, all.Node, all.StatusInterval), left: toList,
	}
	s.holder.led = state.o.Leader != nil
	var noClass [present.Kinds]string
	for k := range present.Kinds {
		for _, class := range k.Classes() {
			if !cfg.Events.Has(class) {
				noClass[k] = class
			}
		}
	}
	s.present = present.New(present.Options{
		Server: cfg.Name, Charset: cfg.Charset, Keep: keep, NoClass: noClass, Interval: all.StateInterval,
		MaxObjects: cfg.StateMaxObjects, MaxBytes: int64(cfg.StateMaxObjects) * objectBytes,
		Dirty: func() { s.dirty.Store(true); clock.Raise(state.writer.wake) },
	}, time.Now())
	return s
}

// Ask has lists asked for by l. It is for before Run.
func (s *Server) Ask(l Link) {
	if s != nil {
		s.link = l
	}
}

// OnEvent reduces an event, on the goroutine that reads them, whatever filters make of
// it. It allocates nothing unless something begins or grows.
func (s *Server) OnEvent(e amiconn.Event) {
	if s == nil || e.Frame.Truncated || e.Frame.Kind() == frames.KindOther {
		return
	}
	s.present.Reduce(e.Frame, e.At)
}

// OnSession hears of the event session, between two of its events.
func (s *Server) OnSession(c amiconn.Change) {
	switch {
	case s == nil || c.Role == amiconn.RoleActions:
		return
	case c.To == amiconn.StateUp:
		s.present.Login(c.Session, c.At)
		s.up.Store(max(1, int64(c.At.Sub(s.holder.began))))
	case c.From == amiconn.StateUp:
		s.up.Store(0)
		s.present.Lost(c.At)
	}
	s.changes.Add(1)
	s.wakeUp()
}

// Acted hears that an Action has been answered, of which perhaps no event tells.
func (s *Server) Acted(action string) {
	if s == nil {
		return
	}
	switch strings.ToLower(action) {
	case "reload", "queuereload", "confbridgelock", "confbridgeunlock":
		s.present.Acted(action, time.Now())
		s.wakeUp()
	}
}

func (s *Server) wakeUp() {
	s.woken.Store(true)
	clock.Raise(s.state.servers.wake)
}

// leads is the seam: whether this bridge writes the server's state at now.
func (s *Server) leads(now time.Time) bool { return s.mayLead() && s.holder.leads(now) }

func (s *Server) mayLead() bool { return s.state.is(on) && s.isOurs() }

// isOurs reports whether the Leader has the server be this bridge's.
func (s *Server) isOurs() bool {
	l := s.state.o.Leader
	return l == nil || l.Leads(s.cfg.Name)
}

// asks reports whether this bridge asks for lists at now: if it writes the state, and if
// nobody can say who does. Then what it shows itself is to be right (Objects).
func (s *Server) asks(now time.Time) bool {
	return s.leads(now) || s.holder.deaf(now) && !s.state.is(off) && s.isOurs()
}

// lists asks for the next list that is due. A bridge asks for none while another writes
// the state.
func (s *Server) lists(now time.Time) {
	up := s.up.Load()
	if up == 0 || !s.asks(now) {
		s.roundFrom = time.Time{}
		return
	}
	if int64(now.Sub(s.holder.began))-up > int64(bootTime) {
		s.present.Booted(now)
	}
	if s.resync.IsZero() {
		s.resync = now.Add(s.cfg.StateResync)
	} else if now.After(s.resync) {
		s.resync = now.Add(s.cfg.StateResync)
		s.present.Resync(now)
	}
	if s.left == toPurge && s.leads(now) && s.present.Counts().State == present.Live {
		s.present.Purge(now)
		if s.left = ""; !s.knows {
			s.knows = true
			s.wakeUp()
		}
	}
	if s.asked != nil || !s.link.Takes() {
		return
	}
	ask, due := s.present.Due(now)
	switch {
	case due:
		if s.roundFrom.IsZero() {
			s.roundFrom = now
		}
		s.ask(ask)
	case !s.roundFrom.IsZero():
		s.counts.syncNanos.Store(int64(now.Sub(s.roundFrom)))
		s.roundFrom = time.Time{}
	}
}

// listEnd is how a list has ended: why is "" if it came.
type listEnd struct {
	why   string
	retry bool
}

// ask asks for a list. Its parts come on the goroutine that reads the action session.
func (s *Server) ask(ask present.Ask) {
	run := s.present.Begin(ask, time.Now())
	action := amiconn.Action{
		Name: ask.Action(),
		Part: func(p correlation.Part) bool {
			if p.Event != nil {
				run.Part(p.Event, time.Now())
			}
			return true
		},
		Done: func(r *correlation.Result) {
			end := endOf(r)
			r.Release()
			s.end.Store(&end)
			s.wakeUp()
		},
	}
	s.asked = run
	s.counts.lists.Add(1)
	name, value, err := ask.Header(s.cfg.Charset)
	if err != nil {
		s.ended(listEnd{why: err.Error()})
		return
	}
	if name != "" {
		action.Headers = []frames.Header{{Key: []byte(name), Value: value}}
	}
	if _, err := s.link.Do(action); err != nil {
		s.ended(listEnd{why: err.Error(), retry: refused(err)})
	}
}

// refused reports whether err says that a list may be had later.
func refused(err error) bool {
	return errors.Is(err, amiconn.ErrNotConnected) || errors.Is(err, amiconn.ErrBreakerOpen) ||
		errors.Is(err, amiconn.ErrBusy) || errors.Is(err, amiconn.ErrStopping)
}

func endOf(r *correlation.Result) listEnd {
	switch r.Outcome {
	case correlation.Answered:
		return listEnd{}
	case correlation.AsteriskError:
		return listEnd{why: r.Message}
	case correlation.ConnectionLost, correlation.NotSent, correlation.ShuttingDown:
		return listEnd{why: r.Outcome.String(), retry: true}
	}
	return listEnd{why: r.Outcome.String()}
}

// ended applies the list that was under way.
func (s *Server) ended(end listEnd) {
	run, now := s.asked, time.Now()
	s.asked = nil
	switch {
	case end.retry:
		s.counts.failed.Add(1)
		s.present.Retry(run, now.Add(retryTime), now)
	case end.why != "" && !s.present.Fail(run, end.why, now), end.why == "" && !s.present.Apply(run, now):
		s.counts.failed.Add(1)
	}
	s.wakeUp()
}

// isDrained reports whether the bucket has been told all, that no session is up as
// well.
func (s *Server) isDrained(now time.Time) bool {
	_, waits := s.present.Next(now)
	return !waits && s.up.Load() == 0 && s.written.Load() == s.changes.Load()
}

// Counts are figures of a Server.
type Counts struct {
	present.Counts
	Lists, ListsFailed    uint64
	Writes, WritesRefused uint64
	Sync                  time.Duration // that the last round of lists took
	Leads                 bool
	Elsewhere             bool // another bridge writes it: this one has what events told, and no list
}

// Counts returns the figures, all zero for a nil Server.
func (s *Server) Counts() (c Counts) {
	if s == nil {
		return c
	}
	c.Counts = s.present.Counts()
	c.Lists, c.ListsFailed = s.counts.lists.Load(), s.counts.failed.Load()
	c.Writes, c.WritesRefused = s.counts.writes.Load(), s.counts.refused.Load()
	c.Sync, c.Leads = time.Duration(s.counts.syncNanos.Load()), s.leads(time.Now())
	c.Elsewhere = s.holder.elsewhere() != "" || s.state.o.Leader != nil && !s.state.o.Leader.Leads(s.cfg.Name)
	return c
}
