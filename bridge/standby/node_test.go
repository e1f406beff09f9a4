package standby

import (
	"fmt"
	"slices"
	"time"
)

const simSilence = time.Second

// node is a model of a bridge: the driver around the package's parts, for one server.
type node struct {
	bridge
	sim     *sim
	inc     string
	roster  *Roster
	machine *Leading
	starts  int

	up          time.Time             // the session is, from then on
	frozen      time.Time             // until then
	cut         time.Time             // from NATS, until then
	deaf        time.Time             // to other bridges, until then
	slow        int                   // how long what it sends to NATS may take, in ms beside the usual
	mute        time.Time             // its events do not arrive, until then
	inert       time.Time             // it has no session for Actions, until then
	delayed     []func(now time.Time) // what was sent while it was mute
	away        time.Time             // from the Asterisk, until then: its session is silent, and stands
	queue       []sending             // to NATS
	inbox       []answer
	late        []answer // Heartbeats that others overtake
	before      []string // who led, the newest last
	endedIn     uint64   // the term in which their batches were ended
	yieldedMute bool     // the leader was mute when it was heard last
	conn        int      // counts connections
	offline     bool

	next       int // of held: the next to be sent
	open       string
	batches    int
	n          uint64 // in the open batch
	begun      time.Time
	flights    []flight
	ackedAt    time.Time // when the newest acknowledged one was sent
	last       uint64
	firstOut   bool
	gap        bool // the Gap that begins the epoch is not stored
	gapOut     bool // and was sent
	doubt      bool // each goes alone, until one is stored that is no repeat
	opening    bool // an epoch is to begin, or somebody takes over
	tail       *Tail
	border     int  // of held: what is behind is of the next epoch
	due        bool // it is to begin as soon as all of the last is stored
	beatAt     time.Time
	lookedAt   time.Time // at its record
	ended      bool      // since it began to lead: once is told
	leaving    bool
	freshAt    time.Time // when the session had nothing more to read
	becameSync time.Time
	answers    Answers // while it leads
}

type flight struct {
	batch string
	n     uint64
	seq   uint64 // of the ledger
	at    time.Time
}

// sending is what is on its way to NATS, answer what comes back.
type sending struct {
	at time.Time
	do func(now time.Time) func()
}

type answer struct {
	at time.Time
	do func()
}

func (n *node) start(now time.Time) {
	n.starts++
	s, name := n.sim, n.name
	if n.session != nil {
		s.a.logoff(n.session)
	}
	starts := n.starts
	*n = node{bridge: bridge{name: name}, sim: s, starts: starts, inc: fmt.Sprint("i", starts), up: now.Add(s.ms(200))}
	n.roster = NewRoster(name, n.inc, 1, simSilence)
	n.roster.Serve([]string{testServer})
	n.machine = NewLeading(testServer, name, n.inc, simSilence, now)
	n.follows = NewFollower(1 << 17)
}

// fall loses the session. Another comes soon.
func (n *node) fall(now time.Time) {
	n.sim.a.logoff(n.session)
	n.session, n.up = nil, now.Add(n.sim.ms(2000))
	switch {
	case n.follows != nil:
		n.held, n.next = nil, 0
		n.follows.Restart()
	case n.leads != nil:
		n.leads.Restart()
		n.answers.Clear()
		if !n.opening {
			n.opening, n.border = true, len(n.held)
		}
		n.held = n.held[:n.border] // one Gap tells of both holes, and of what was between
	}
	n.step(Event{Kind: SessionLost})
}

func (n *node) ask(do func(now time.Time) func()) {
	n.queue = append(n.queue, sending{n.sim.now.Add(n.sim.ms(5 + n.slow)), do})
}

// deliver has NATS take what has arrived, in order. It does so while the process is
// frozen, too: the bytes are on their way.
func (n *node) deliver(now time.Time) {
	n.release(now)
	if now.Before(n.cut) {
		return
	}
	for len(n.queue) > 0 && !n.queue[0].at.After(now) {
		do := n.queue[0].do
		n.queue = n.queue[1:]
		if reply := do(now); reply != nil {
			n.inbox = append(n.inbox, answer{now.Add(n.sim.ms(5)), reply})
		}
	}
}

func (n *node) tick(now time.Time) {
	if now.Before(n.frozen) {
		return
	}
	n.heal(now)
	if n.session == nil && !now.Before(n.up) {
		n.session = n.sim.a.login(n.sim.spread)
	}
	if n.session != nil && !now.Before(n.away) {
		n.read(1 + n.sim.rng.IntN(10*n.sim.burst))
		if len(n.session.pending) == 0 {
			n.freshAt = now
			n.pong(now)
		}
	}
	for len(n.inbox) > 0 && !n.inbox[0].at.After(now) && !now.Before(n.cut) {
		do := n.inbox[0].do
		n.inbox = n.inbox[1:]
		do()
	}
	n.late = slices.DeleteFunc(n.late, func(a answer) bool {
		if a.at.After(now) || now.Before(n.cut) {
			return false
		}
		a.do()
		return true
	})
	if now.Sub(n.beatAt) >= 250*time.Millisecond {
		n.beatAt = now
		n.beat(now)
	}
	n.step(Event{Kind: Tick})
	if now.Sub(n.lookedAt) >= 5*time.Second {
		n.lookedAt = now
		n.step(Event{Kind: Look})
	}
	n.publish(now)
	if s, _ := n.state(); s != InSync {
		n.becameSync = time.Time{}
	} else if n.becameSync.IsZero() {
		n.becameSync = now
	}
}

// heal looks at the connection: who is cut off for long loses it, and with it what was
// on its way, or not.
func (n *node) heal(now time.Time) {
	if now.Before(n.cut) && !n.offline && n.cut.Sub(now) < n.sim.ms(2000) {
		n.offline = true
		if n.sim.rng.IntN(2) == 0 {
			n.queue = nil
		}
		n.inbox = nil
		n.conn++
		n.step(Event{Kind: Disconnected})
		n.step(Event{Kind: Failed})
		n.rewind()
	}
	if !now.Before(n.cut) {
		n.offline = false
	}
}

func (n *node) state() (State, Reason) {
	if n.follows == nil {
		return Joining, ""
	}
	return n.follows.State()
}

func (n *node) view() View {
	s, _ := n.state()
	to, inSync := n.roster.Successor(testServer, n.sim.now)
	return View{Unable: n.unable(), HeirUnable: n.roster.Unable(testServer, to), Fresh: n.sim.now.Sub(n.freshAt) < 200*time.Millisecond, Session: n.session != nil, InSync: s == InSync, Turn: n.roster.Turn(testServer, n.sim.now), Successor: to, HeirSync: inSync}
}

func (n *node) beat(now time.Time) {
	var leads []Leads
	var stands []Stands
	switch {
	case n.machine.Leads() && n.leads != nil:
		leads = []Leads{LeadsOf(testServer, n.leads.Mark(n.machine.Term()), n.machine.Heir())}
		if leads[0].Unable = n.unable(); n.machine.Undrained() {
			leads[0].Unable = Mute
		}
		leads[0].Answers = n.answers.Of(n.leads.Epoch(), now.Add(-time.Second))
	case n.session != nil && n.follows != nil:
		s, why := n.follows.State()
		stands = []Stands{{Server: testServer, State: s.String(), Reason: why, Term: n.follows.term, Lag: n.follows.Lag(), Unable: n.unable(), Probe: n.follows.Probe(uint64(now.UnixNano()))}}
	}
	h := n.roster.Beat(leads, stands, now)
	data, err := h.Encode()
	if err != nil {
		n.sim.fail("%v", err)
		return
	}
	for _, other := range n.sim.nodes {
		conn := other.conn
		if other == n || now.Before(other.deaf) || now.Before(n.deaf) || n.sim.apart != nil && n.sim.apart(n, other) {
			continue
		}
		n.ask(func(now time.Time) func() {
			if now.Before(other.cut) || conn != other.conn {
				return nil
			}
			hears := func() {
				if conn == other.conn {
					other.hear(data)
				}
			}
			now = now.Add(n.sim.ms(5))
			if n.sim.rng.Float64() >= n.sim.late {
				other.inbox = append(other.inbox, answer{now, hears})
			} else {
				other.late = append(other.late, answer{now.Add(n.sim.ms(1500)), hears})
			}
			if n.sim.rng.Float64() < n.sim.late { // by two ways
				other.late = append(other.late, answer{now.Add(n.sim.ms(1500)), hears})
			}
			return nil
		})
	}
	if n.sim.moves {
		for _, m := range n.roster.Moves(func(string) int { return len(n.sim.nodes) }, now) {
			if m.Kind == GiveLead {
				n.step(Event{Kind: Handover, To: m.To})
			}
		}
	}
	if n.leaving {
		n.step(Event{Kind: Handover})
	}
}

func (n *node) hear(data []byte) {
	h, err := DecodeHeartbeat(data)
	if err == nil {
		err = n.roster.Observe(h, n.sim.now)
	}
	if err != nil {
		n.sim.fail("%v", err)
		return
	}
	if !n.roster.Knows(h) {
		return
	}
	if len(h.Stands) > 0 && n.leads != nil {
		n.answers.Ask(h.Node, h.Stands[0].Probe, n.sim.now)
	}
	l, ok := n.roster.Leader(testServer)
	if !ok || l.Node != h.Node {
		return
	}
	n.knew(l.Node + l.Incarnation)
	n.yieldedMute = l.Unable == Mute
	n.step(Event{Kind: SawHeartbeat, Leader: l})
	if l.Mark.Term >= n.machine.Term() && n.follows != nil {
		if gone := n.follows.Observe(l.Mark, n.sim.now); gone > 0 {
			n.held = n.held[gone:]
		}
		for _, a := range h.Leads[0].Answers {
			if a.Node == n.name {
				n.follows.Answer(l.Mark.Epoch, a.Probe, a.N)
			}
		}
	}
}

// pong has all that was raised until now be read.
func (n *node) pong(now time.Time) {
	if n.follows != nil {
		n.follows.Pong(now)
	} else if n.leads != nil && !n.opening {
		n.answers.Pong(now, n.leads.Epoch(), n.leads.Acked()+uint64(len(n.held)))
	}
}
