package ha

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/standby"
)

// places says which servers this bridge reads: as many bridges as there are copies read
// each, and the others have it without a session.
type places struct {
	beganAt  time.Time   // since when the others hear this bridge
	movedAt  time.Time   // when it was looked last what is to move
	untold   bool        // it is to be told again
	known    atomic.Bool // what this bridge reads was decided, at least once
	telling  sync.Mutex  // held while it is told
	changing sync.Mutex  // protects Server.place
}

// place is what a server has of it. The Node's places.changing protects it, but for the
// last.
type place struct {
	copies  int  // bridges that read the server
	gone    bool // this bridge has it no more: it is no candidate
	reads   bool // this bridge is to read it
	applied bool // reads, as the bridge was told
	idle    time.Time
}

// IsPlaced reports whether it is decided whether this bridge reads the server.
func (h *Handle) IsPlaced() bool { return h.n.places.known.Load() }

// Copies says by how many bridges the server is to be read.
func (h *Handle) Copies(n int) {
	h.n.places.changing.Lock()
	defer h.n.places.changing.Unlock()
	h.s.place.copies = n
}

// IsCopied reports whether more than one bridge is to read the server, so that one stands by.
func (h *Handle) IsCopied() bool {
	h.n.places.changing.Lock()
	defer h.n.places.changing.Unlock()
	return h.s.place.copies > 1
}

// Has says whether this bridge has the server, or has it no more: then its sessions end
// without the Node, and it is not read again before the bridge has it again. A nil Handle
// does nothing.
func (h *Handle) Has(yes bool) {
	if h == nil {
		return
	}
	h.n.places.changing.Lock()
	if h.s.place.gone = !yes; !yes {
		h.s.place.reads, h.s.place.applied = false, false
	}
	h.n.places.changing.Unlock()
	h.n.adding.Lock()
	defer h.n.adding.Unlock()
	h.n.have(slices.Clone(h.n.now.Load().all)) // the Roster is to be told
}

// placeOf is the place of a server at the moment.
func (n *Node) placeOf(s *server) place {
	n.places.changing.Lock()
	defer n.places.changing.Unlock()
	return s.place
}

// rest notes which servers nothing happens at as time passes: this bridge has no session of
// them, is to have none, and does not lead them.
func (n *Node) rest() {
	n.places.changing.Lock()
	defer n.places.changing.Unlock()
	for _, s := range n.now.Load().all {
		s.rests = s.up.Load() == 0 && !s.machine.Leads() && !s.place.reads
	}
}

// tries are the servers that this bridge is to read and has no session of, or cannot lead.
func (n *Node) tries(now time.Time) (all []standby.Tries) {
	for s := range n.begun() {
		if n.leaving || !n.placeOf(s).reads || s.up.Load() != 0 && (n.mayClaim() || s.machine.Leads()) {
			s.idle = time.Time{}
			continue
		}
		if s.idle.IsZero() {
			s.idle = now
		}
		all = append(all, standby.Tries{Server: s.Name, ForMS: now.Sub(s.idle).Milliseconds()})
	}
	return all
}

// move has this bridge read what it is to read and no more, and give leads to whom they
// belong, after a Beat. Who has not heard the others for long enough knows nothing of
// what they read.
func (n *Node) move(now time.Time) {
	p := &n.places
	if p.beganAt.IsZero() {
		p.beganAt = now
	}
	if n.leaving || now.Sub(p.movedAt) < beat || now.Sub(p.beganAt) < n.o.Config.HASilence*3/2 || n.lease.doubts(now) {
		return
	}
	p.movedAt = now
	copies := func(name string) int {
		if s := n.named(name); s != nil {
			return n.placeOf(s).copies
		}
		return 1
	}
	for s := range n.begun() {
		if !s.machine.Stands() { // else one that has come back while it is led would be led unread
			n.read(s, true)
		}
	}
	for _, m := range n.roster.Moves(copies, now) {
		switch s := n.named(m.Server); {
		case s == nil || !s.begun.Load(), m.Kind == standby.End && !s.machine.Stands():
			// whoever claims it ends its session when another has
		case m.Kind == standby.GiveLead:
			n.step(s, standby.Event{Kind: standby.Handover, To: m.To})
		default:
			n.read(s, m.Kind == standby.Begin)
		}
	}
	p.known.Store(true)
	if p.untold {
		n.tellPlaces()
	}
}

// read has this bridge read the server, or not.
func (n *Node) read(s *server, reads bool) {
	n.places.changing.Lock()
	defer n.places.changing.Unlock()
	if reads == s.place.reads || s.place.gone {
		return
	}
	s.place.reads = reads
	n.places.untold, n.beatAt = true, time.Time{} // the others are to know at once
}

// tellPlaces tells the bridge what it is to read.
func (n *Node) tellPlaces() {
	n.places.untold = false
	n.ask(func(context.Context) func() {
		n.places.telling.Lock()
		defer n.places.telling.Unlock()
		if begins, ends := n.placesChanged(); len(begins)+len(ends) > 0 {
			n.o.Place(begins, ends)
		}
		return nil
	}, func() { n.places.untold = true })
}

// placesChanged are the servers that are to be read since it was told last, and those that
// are no more.
func (n *Node) placesChanged() (begins, ends []string) {
	n.places.changing.Lock()
	defer n.places.changing.Unlock()
	for _, s := range n.now.Load().all {
		switch p := &s.place; {
		case p.reads == p.applied:
			continue
		case p.reads:
			begins = append(begins, s.Name)
		default:
			ends = append(ends, s.Name)
		}
		s.place.applied = s.place.reads
	}
	return begins, ends
}
