package ha

import (
	"context"
	"iter"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/delivery"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/clock"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/natsconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/outbox"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/standby"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
)

const (
	// tick is how often the machines are told that time passes, beat how often this
	// bridge says how it stands.
	tick = 50 * time.Millisecond
	beat = 250 * time.Millisecond
	// beatLeast is between two Heartbeats at least, and beatRate is how many bytes of them
	// go out in a second at most, but for those at each beat: many leads may move at once,
	// and every bridge reads them all.
	beatLeast = 20 * time.Millisecond
	beatRate  = 256 << 10
	// frozenAfter is how long a tick may be late until this process is taken for one that
	// was frozen: what others said meanwhile is not read yet, so that nobody is silent.
	frozenAfter = 500 * time.Millisecond
	// maxReceived bounds the Heartbeats that wait to be read. When it is full the newest is
	// dropped: another comes.
	maxReceived = 256
)

// Options is what a Node works with.
type Options struct {
	Config *config.Config
	Conn   *natsconn.Conn // by which bridges speak, and the stream is asked
	Events *natsconn.Conn // by which events are published
	// Incarnation names this process; no other has the same.
	Incarnation string
	Epoch       func() string // makes the name of an epoch that no other has had
	// Unshared returns why bridges cannot share servers by the stream, as far as is known.
	// It does not wait.
	Unshared func() error
	// Place observes which servers this bridge begins to read and which it reads no more, on
	// a goroutine of the Node's, one call at a time. It may wait.
	Place func(begins, ends []string)
	// Regroup observes that OtherGroups is other than before, on a goroutine of the Node's. It may wait.
	Regroup func()
	Log     *zap.Logger
}

// Node is this bridge among those that share the servers.
type Node struct {
	o      Options
	log    *zap.Logger
	now    atomic.Pointer[servers] // not changed once made: Add and Remove put another in its place
	adding sync.Mutex              // held meanwhile
	served *servers                // what the Roster was told of
	roster *standby.Roster
	parts  standby.Parts
	peers  atomic.Pointer[[]standby.Peer] // of Peers
	found  []standby.Standby              // of standing, to be used again

	received chan []byte   // Heartbeats
	noted    chan struct{} // of capacity 1: a server has a note
	asks     chan ask      // for the stream
	answers  chan func()   // from the stream, for the Node's goroutine
	failed   []func()      // answers to what could not be asked
	last     streams.Last  // of the records of terms
	leaves   chan struct{} // closed when another shall lead what this one leads
	left     chan struct{} // closed when none is led that another could lead
	leave    sync.Once
	kept     atomic.Bool // Leave has ended, and some are led that another could lead

	began time.Time
	lease *lease               // while it holds this bridge leads what it leads
	ended map[string]time.Time // when the batches of leaders were ended last, by incarnation

	others others
	groups groups
	pings  pings

	sendLease time.Duration // of what it sends, see standby.SendLease

	storedAt time.Time // an event of any server that it leads, as far as it was seen
	looksAt  *server   // its record is being looked at, or was last

	places     places
	listened   time.Duration // before its first Heartbeat, see listenFirst
	spokeAt    time.Time     // its last Heartbeat; with beatAt zero another is due
	pause      time.Duration // behind it
	saidLeads  int           // servers, in it
	saidStands int
	beatAt     time.Time
	lookedAt   time.Time // by the last tick; the first is as if it was frozen: it may have waited for NATS
	leaving    bool      // what this bridge leads it hands over, and takes nothing

	twin        twin
	standsAside atomic.Bool // for others
	hinderedAt  time.Time
	hindered    atomic.Pointer[error]  // why this bridge leads nothing more; for others
	denied      atomic.Pointer[denial] // by NATS, last
}

// New returns a Node without servers. It subscribes to what other bridges say.
func New(o Options) (*Node, error) {
	n := &Node{
		o: o, log: o.Log.Named("ha"), began: time.Now(),
		roster:   standby.NewRoster(o.Config.Node, o.Incarnation, o.Config.HAWeight, o.Config.HASilence),
		received: make(chan []byte, maxReceived), noted: make(chan struct{}, 1), answers: make(chan func(), askers), asks: make(chan ask, maxAsks),
		leaves: make(chan struct{}), left: make(chan struct{}), ended: map[string]time.Time{},
	}
	n.now.Store(new(servers))
	o.Conn.OnError(n.onError)
	n.lease, n.sendLease = newLease(o.Config.HASilence, n.began), standby.SendLease(o.Config.HASilence)
	_, err := o.Conn.Subscribe(n.subject("*"), "", func(m *nats.Msg) {
		select {
		case n.received <- m.Data:
		default:
		}
	})
	return n, err
}

func (n *Node) subject(node string) string { return n.o.Config.SubjectPrefix + ".ha." + node }

// servers are those that a Node has. They are not changed once made.
type servers struct {
	all []*server
	by  map[string]*server
}

// have makes all the servers of the Node.
func (n *Node) have(all []*server) {
	now := &servers{all, make(map[string]*server, len(all))}
	for _, s := range all {
		now.by[s.Name] = s
	}
	n.now.Store(now)
}

func (n *Node) named(name string) *server { return n.now.Load().by[name] }

// Add adds a server and shares its Outbox. It may be called at any time, from any goroutine.
func (n *Node) Add(s Server) *Handle {
	added := &server{
		Server: s, began: n.began,
		machine: standby.NewLeading(s.Name, n.o.Config.Node, n.o.Incarnation, n.o.Config.HASilence, time.Now()),
	}
	added.wake = func() { added.noted.Store(true); clock.Raise(n.noted) }
	s.Outbox.Share(outbox.ShareOptions{
		Most: s.Most, Epoch: n.o.Epoch, Filters: s.Filters, Stored: added.onStored, Drained: added.onDrained,
	})
	n.adding.Lock()
	defer n.adding.Unlock()
	n.have(append(slices.Clone(n.now.Load().all), added))
	return &Handle{n, added}
}

// Remove takes a server away of which nothing is left, and which this bridge then leads no more.
// It may be called at any time, from any goroutine, and waits for Led.
func (n *Node) Remove(h *Handle) {
	n.adding.Lock()
	n.have(slices.DeleteFunc(slices.Clone(n.now.Load().all), func(s *server) bool { return s == h.s }))
	n.adding.Unlock()
	h.s.leading.Store(false)
	h.s.tellNow()
}

// Leads reports whether this bridge leads the server of that name. It may be called from any
// goroutine and does not wait.
func (n *Node) Leads(name string) bool {
	s := n.named(name)
	return s != nil && (&Handle{n, s}).Leads()
}

// Handle is what others tell of a server. Its methods may be called from any goroutine and
// do not wait.
type Handle struct {
	n *Node
	s *server
}

// Begin tells what has the publisher look at the server, and what has it forget what is in
// flight of it. Nothing happens before. A nil Handle does nothing.
func (h *Handle) Begin(ready, forget func()) {
	if h != nil {
		h.s.ready, h.s.forget = ready, forget
		h.s.begun.Store(true)
	}
}

// Follow tells what has the event session ask for a Pong, and what reports whether a session
// for Actions is up. Neither waits.
func (h *Handle) Follow(ping func(), acts func() bool) { h.s.link.Store(&link{ping, acts}) }

// Session hears that the event session came up or has ended, between two of its events.
func (h *Handle) Session(up bool) { h.s.onSession(up) }

// Pong hears that a Ping of the event session was answered that was asked then.
func (h *Handle) Pong(asked time.Time) { h.s.onPong(asked) }

// Lead is what the server's events are sent behind.
func (h *Handle) Lead() *delivery.Lead {
	return &delivery.Lead{Terms: h.s.Terms, Fence: h.s.Fence, Refused: h.s.Refused}
}

// Leads reports whether this bridge leads the server, as far as it can know: not if it has
// just woken from a freeze, and may not have heard yet that another one leads.
func (h *Handle) Leads() bool { return h.s.leading.Load() && h.Sure() }

// Run takes part until ctx ends.
func (n *Node) Run(ctx context.Context) {
	var group sync.WaitGroup
	defer group.Wait()
	for range askers {
		group.Go(func() { n.askAll(ctx) })
	}
	changed := n.o.Conn.Watch()
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		n.serve()
		select {
		case <-ctx.Done():
			return
		case data := <-n.received:
			n.receive(data)
		case answer := <-n.answers:
			answer()
		case <-n.noted:
			n.takeNotes()
		case <-changed:
			n.all(standby.Disconnected) // it went or came: what others said meanwhile is not heard
		case <-ticker.C:
			n.tick()
			n.listened = min(n.listened+tick, listenFirst)
		}
		for failed := n.failed; len(failed) > 0; failed = n.failed {
			n.failed = nil
			for _, f := range failed {
				f()
			}
		}
		if now := time.Now(); n.listened >= listenFirst && now.Sub(n.beatAt) >= beat && now.Sub(n.spokeAt) >= n.pause {
			n.beatAt, n.spokeAt = now, now
			n.beat(now)
		}
	}
}

// serve tells the Roster which servers there are, if there are others.
func (n *Node) serve() {
	if now := n.now.Load(); now != n.served {
		n.served = now
		var names []string
		for _, s := range now.all {
			if !n.placeOf(s).gone {
				names = append(names, s.Name)
			}
		}
		n.roster.Serve(names)
	}
}

// begun are the servers that the publisher knows.
func (n *Node) begun() iter.Seq[*server] {
	return func(yield func(*server) bool) {
		for _, s := range n.now.Load().all {
			if s.begun.Load() && !yield(s) {
				return
			}
		}
	}
}

// takeNotes takes in what was noted of servers.
func (n *Node) takeNotes() {
	for s := range n.begun() {
		if s.noted.Load() {
			s.noted.Store(false)
			s.takeNotes(func(kind standby.EventKind) { n.step(s, standby.Event{Kind: kind}) })
		}
	}
}

func (n *Node) all(kind standby.EventKind) {
	for s := range n.begun() {
		n.step(s, standby.Event{Kind: kind})
	}
}

// tick has time pass.
func (n *Node) tick() {
	for len(n.received) > 0 {
		n.receive(<-n.received)
	}
	now := time.Now()
	if now.Sub(n.lookedAt) > frozenAfter || !n.o.Conn.Up() {
		n.lease.doubt(now)
		n.all(standby.Disconnected)
	}
	n.lookedAt = now
	n.sendLease = standby.SendLease(n.roster.Silence(now))
	n.lease.lapse(now)
	if now.Sub(n.hinderedAt) >= hinderEvery {
		n.hinder(now)
	}
	n.pings.tick()
	n.rest()
	for s := range n.begun() {
		if s.untold {
			n.tell(s)
		}
		if !s.rests || s.stall.leads {
			n.watch(s, now)
		}
		if s.rests {
			continue
		}
		if s.up.Load() != 0 && (s.led && s.asks.wait() || !s.led && !s.inSync() && !n.fresh(s)) {
			n.ping(s, now)
		}
		if !s.machine.Waits(now) { // nothing passes for one that does
			n.stepAt(s, now, standby.Event{Kind: standby.Tick})
		}
	}
	n.lookAtRecords(now)
	n.yield(now)
}

// lookEvery is how often whoever leads looks at a server's record, of which it would not learn
// otherwise before it writes it anew that another has claimed unheard. One question is asked at a
// time, and one a tick: of many servers each is looked at less often.
const lookEvery = 5 * time.Second

// lookAtRecords has the record looked at that was not for longest, if that is long.
func (n *Node) lookAtRecords(now time.Time) {
	if n.looksAt != nil && n.looksAt.machine.Asks() {
		return
	}
	var next *server
	for s := range n.begun() {
		if s.led && (next == nil || s.looked.Before(next.looked)) {
			next = s
		}
	}
	if next != nil && now.Sub(next.looked) >= lookEvery {
		next.looked, n.looksAt = now, next
		n.stepAt(next, now, standby.Event{Kind: standby.Look})
	}
}

// beat says how this bridge stands.
func (n *Node) beat(now time.Time) {
	n.look(now)
	if n.aside(now) {
		return
	}
	leads, stands := make([]standby.Leads, 0, n.saidLeads), make([]standby.Stands, 0, n.saidStands)
	for s := range n.begun() {
		switch l, b := n.says(s, now); {
		case l != nil:
			leads = append(leads, *l)
		case b != nil:
			stands = append(stands, *b)
		}
	}
	n.saidLeads, n.saidStands = len(leads), len(stands)
	n.roster.Try(n.tries(now))
	n.regroup(now)
	h := n.roster.Beat(leads, stands, now)
	n.lease.beats(h.Seq, now)
	n.publish(h)
	n.move(now)
}
