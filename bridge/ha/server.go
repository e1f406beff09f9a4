package ha

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/delivery"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/clock"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/outbox"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/standby"
)

// Server is a server that several bridges share. Its functions do not wait, but for Led.
type Server struct {
	Name   string
	Outbox *outbox.Outbox
	Events string // the subject of its events, with wildcards
	Terms  string // the subject of its terms
	Most   int    // events that its outbox can hold
	// Filters is the hash of all that decides which of its events count.
	Filters uint64
	// Led hears whether this bridge leads it, on a goroutine of the Node's. It may wait.
	Led func(leads bool)
	// Changed observes that who leads it or who stands by is other than before, and whether
	// it is this bridge that publishes how the server is. It is called on the Node's
	// goroutine.
	Changed func(speaks bool)
}

// server is a Server as the Node knows it. It is the Node's goroutine's but for what says
// otherwise.
type server struct {
	Server
	machine *standby.Leading
	begun   atomic.Bool // ready and forget are set
	ready   func()      // the publisher is to look at it
	forget  func()      // the publisher is to forget what is in flight
	link    atomic.Pointer[link]
	stall   stall
	before  []string // incarnations of those who led, the newest last
	tail    *standby.Tail
	reading reading        // of one that was not read to its end
	held    delivery.Since // of the tail
	mute    bool           // who leads it was so when it was heard last
	ended   uint64         // the term since which the batches of those before were ended
	ends    []string       // batches that are to be ended before anything else goes out
	led     bool
	place
	untold bool // it is to be told of led again
	drains bool
	rests  bool          // see Node.rest
	how    outbox.Shared // as it was when it was looked at last

	wake  func()       // has the Node look at what was noted
	began time.Time    // what the next two count from, in nanoseconds
	up    atomic.Int64 // when the event session came up; 0: it is not
	asked atomic.Int64 // when the Ping was asked that was answered last; 0: none was
	why   error        // of the last take-over that was not exact

	noted                 atomic.Bool           // something is
	lost, stored, drained atomic.Bool           // noted, for the Node
	leading               atomic.Bool           // led, for others
	trouble               atomic.Pointer[error] // why it is not known who leads; nil: it is
	unfound               atomic.Int32          // claims in a row that were refused behind no record of a term
	known                 known
	asks                  asks
	pinged                time.Time // by pings
	looked                time.Time // at its record, by who leads

	telling   sync.Mutex // protects the following
	published bool       // of led

	mu      sync.Mutex // protects the following
	fence   delivery.Fence
	open    bool // a batch may begin
	refused bool // noted, for the Node
}

// maxBefore bounds the leaders before whose batches are ended.
const maxBefore = 4

// Fence returns what a batch begins behind.
func (s *server) Fence() (delivery.Fence, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fence, s.open && !s.refused
}

// Refused notes that the stream has refused an event for its fence.
func (s *server) Refused() {
	s.mu.Lock()
	s.refused = true
	s.mu.Unlock()
	s.wake()
}

// onStored notes that the first event of this leader is stored.
func (s *server) onStored() {
	s.mu.Lock()
	s.fence.Whole = false
	s.mu.Unlock()
	s.stored.Store(true)
	s.wake()
}

// onDrained notes that nothing is in flight.
func (s *server) onDrained() {
	s.drained.Store(true)
	s.wake()
}

// onSession notes that the event session came up or has ended, on its supervisor.
func (s *server) onSession(up bool) {
	if up {
		s.up.Store(max(1, int64(time.Since(s.began))))
		s.asked.Store(0)
		s.wake()
		return
	}
	if s.up.Swap(0) != 0 {
		s.Outbox.Restart()
		s.asks.clear()
		s.lost.Store(true)
		s.wake()
	}
}

// onPong notes, between two events of the session, that a Ping was answered that was asked then.
func (s *server) onPong(asked time.Time) {
	s.asked.Store(max(1, int64(asked.Sub(s.began))))
	s.Outbox.Pong(asked)
	if epoch, n, ok := s.Outbox.ReadUpTo(); ok {
		s.asks.pong(asked, epoch, n)
	}
}

// takeNotes hands on what was noted.
func (s *server) takeNotes(each func(standby.EventKind)) {
	s.mu.Lock()
	refused := s.refused
	s.mu.Unlock()
	if s.lost.Swap(false) {
		each(standby.SessionLost)
	}
	if s.stored.Swap(false) {
		each(standby.FirstStored)
	}
	if s.drained.Swap(false) && s.drains {
		each(standby.Drained)
	}
	if refused {
		each(standby.Refused)
		s.mu.Lock()
		s.refused = false
		s.mu.Unlock()
	}
}

// knew notes who led.
func (s *server) knew(incarnation string) {
	if n := len(s.before); n > 0 && s.before[n-1] == incarnation {
		return
	}
	if i := slices.Index(s.before, incarnation); i >= 0 {
		s.before = slices.Delete(s.before, i, i+1)
	}
	if len(s.before) == maxBefore {
		s.before = slices.Delete(s.before, 0, 1)
	}
	s.before = append(s.before, incarnation)
}

// view is how things stand, as of the last look.
func (n *Node) view(s *server, now time.Time) standby.View {
	up := s.up.Load() != 0 && (s.led || n.mayClaim())
	if s.machine.Waits(now) {
		return standby.View{Session: up, InSync: s.inSync()}
	}
	to, inSync := n.roster.Successor(s.Name, now)
	v := standby.View{
		Session: up, InSync: s.inSync(), Fresh: up && n.fresh(s), Successor: to, HeirSync: inSync,
		Unable: n.unable(s, to, now), HeirUnable: n.roster.Unable(s.Name, to),
	}
	if s.led && v.Unable == standby.Mute && n.o.Events.Up() {
		v.OthersStored, v.HeirNoBetter = now.Sub(n.storedAt) < n.o.Config.HASilence, n.roster.NoBetter(to)
	}
	if s.machine.Stands() { // nobody else has to wait for its turn
		v.Turn, v.Slow = n.roster.Turn(s.Name, now), n.roster.Slow(now)
	}
	return v
}

// look looks how the outbox stands. Much of what is done for a server goes by that, and
// each look waits for who reads or publishes.
func (s *server) look() { s.how = s.Outbox.Shared(s.machine.Term()) }

// inSync reports whether this bridge stood by in sync at the last look.
func (s *server) inSync() bool { return !s.how.Leads && s.how.State == standby.InSync }

// fresh reports whether the session is not behind: it has answered a Ping that was asked
// after the leader was heard last.
func (n *Node) fresh(s *server) bool {
	last := s.began
	if l, ok := n.roster.Leader(s.Name); ok && l.Node != n.o.Config.Node {
		last = l.At
	}
	asked := s.asked.Load()
	return asked != 0 && asked > int64(last.Sub(s.began))
}

// step has the machine take in an event, and does what it says.
func (n *Node) step(s *server, e standby.Event) {
	now := time.Now()
	if e.Kind != standby.SawHeartbeat || e.Leader.Yields == n.o.Config.Node || !s.machine.Waits(now) {
		s.look() // else the leader is heard, and that is all
	}
	n.stepAt(s, now, e)
}

// stepAt is step at that time, by what the last look has shown.
func (n *Node) stepAt(s *server, now time.Time, e standby.Event) {
	if all := slices.Clone(s.machine.Step(now, n.view(s, now), e)); len(all) > 0 {
		for _, d := range all {
			n.do(s, d, now)
		}
		s.look()
	}
	n.sendEnds(s)
	n.let(s)
}

// let tells whoever wants to know who leads, and then lets the publisher go on, or not: so
// that this bridge leads is told before anything of what it publishes.
func (n *Node) let(s *server) {
	if leads := s.machine.Leads(); leads != s.led {
		s.led, s.looked = leads, time.Now()
		s.leading.Store(leads)
		s.trouble.Store(nil) // of a look, or of before
		n.tell(s)
		if leads {
			s.known.countTakeOver(s.machine.Record().Reason)
		} else {
			n.stood(s, time.Now())
		}
		n.lookAt(s, time.Now())
		n.beatAt = time.Time{} // the others are to know at once
	}
	s.known.yields.Store(s.machine.Heir() != "")
	n.logLead(s)
	open := s.machine.Begins() && s.how.Leads
	s.mu.Lock()
	opened := open && !s.open
	s.open, s.fence.Term, s.fence.Lease = open, s.machine.Fence(), n.sendLease
	s.mu.Unlock()
	if opened {
		s.ready()
	}
}

// logLead logs once that this bridge begins to lead s, or does no more. One that claims its
// own server again does neither, until it has.
func (n *Node) logLead(s *server) {
	switch {
	case s.led && s.known.logged != s.machine.Record().Term:
		record := s.machine.Record()
		s.known.logged = record.Term
		n.log.Info("leads", zap.String("server", s.Name), zap.Uint64("term", record.Term), zap.String("reason", record.Reason))
	case s.known.logged != 0 && s.machine.Stands():
		s.known.logged = 0
		leader := s.known.claimant
		if l, ok := n.roster.Leader(s.Name); ok && l.Mark.Term >= s.machine.Term() {
			leader = l.Node
		}
		fields := []zap.Field{zap.String("server", s.Name), zap.Uint64("term", s.machine.Term())}
		if leader != "" && leader != n.o.Config.Node {
			fields = append(fields, zap.String("leader", leader))
		}
		n.log.Info("stands by", fields...)
	}
}

// tell tells whoever wants to know whether this bridge leads s.
func (n *Node) tell(s *server) {
	s.untold = false
	n.ask(func(context.Context) func() { s.tellNow(); return nil }, func() { s.untold = true })
}

func (s *server) tellNow() {
	s.telling.Lock()
	defer s.telling.Unlock()
	if leads := s.leading.Load(); leads != s.published {
		s.published = leads
		s.Led(leads)
	}
}

// do does what the machine has decided.
func (n *Node) do(s *server, d standby.Decision, now time.Time) {
	switch d {
	case standby.Hold:
		s.drains = false
		s.mu.Lock()
		s.open = false
		s.mu.Unlock()
		s.Outbox.Stand(s.machine.Term(), now)
		s.forget()
	case standby.AskTerm:
		n.askTerm(s)
	case standby.WriteTerm:
		n.writeTerm(s)
	case standby.EndBatches:
		n.endBatches(s, now)
	case standby.ReadTail:
		n.readTail(s, now)
	case standby.Publish, standby.BeginEpoch, standby.BeginFirst:
		n.begin(s, d, now)
	case standby.Drain:
		s.drains = true
		s.drained.Store(false)
		s.Outbox.Close()
	case standby.Yield:
		n.beatAt = time.Time{}
	}
}

// begin has the outbox lead, or go on.
func (n *Node) begin(s *server, d standby.Decision, now time.Time) {
	s.drains = false
	if s.Outbox.Shared(0).Leads {
		if d == standby.Publish {
			s.Outbox.Open()
		} else {
			s.Outbox.NextEpoch()
		}
		s.ready()
		return
	}
	s.mu.Lock()
	// A bridge beside that shares nothing would have the other fence refused, again and again.
	s.fence = delivery.Fence{Term: s.machine.Fence(), Whole: !s.held.Beside, Last: s.held.Last, Lease: n.sendLease}
	s.mu.Unlock()
	s.stored.Store(false)
	why := error(nil)
	if d == standby.Publish {
		if why = s.Outbox.TakeOver(s.tail); why == nil {
			return
		}
	}
	if d == standby.BeginFirst {
		s.Outbox.Begin(s.tail, nil)
		return
	}
	from := now.UnixNano()
	if !s.held.At.IsZero() {
		from = clock.Wall(s.held.At, now)
	}
	gap := &outbox.Gap{Reason: outbox.GapTakeOver, Unknown: true, From: from, To: now.UnixNano()}
	if s.machine.Record().Reason == "start" {
		gap.Reason, gap.Restarted = outbox.GapRestart, "unknown"
	}
	if why == nil {
		why = s.why
	}
	n.log.Warn("a take-over leaves a Gap", zap.String("server", s.Name), zap.Uint64("term", s.machine.Term()), zap.Error(why))
	s.Outbox.Begin(s.tail, gap)
}
