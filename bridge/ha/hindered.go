package ha

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/natsconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/standby"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
)

// A bridge that cannot take part claims nothing, and does not say that it stands by, so that
// nobody hands over to it: it would claim again and again, and each claim would end in a
// Gap. What it leads already it leads on for as long as the stream lets it. It says why,
// and looks again each second.

// hinderEvery is how often it is looked whether this bridge can take part.
const hinderEvery = time.Second

// listenFirst is for how long a bridge listens before its first word: one that has the name
// of another must not be taken for that. It is counted in ticks, for one that is held up hears nobody.
const listenFirst = 2 * beat

// deniedFor is for how long NATS's word counts that this bridge may not publish something: rights
// may have come, and nobody says so. A Heartbeat says so itself, for it comes back.
const deniedFor = time.Minute

// denial is what NATS does not let this bridge publish.
type denial struct {
	why      error
	at       time.Time
	connects uint64 // how often the connection was made by then: another may have other rights
	beats    bool   // its own Heartbeats, which it goes on to send
}

// twin is another live bridge of this one's name.
type twin struct {
	incarnation string
	seen        time.Time // last
	elder       bool      // this bridge stands aside for it
}

// StandsAside reports whether this bridge stands aside for another of its name: it says nothing as
// that node. It may be called from any goroutine.
func (n *Node) StandsAside() bool { return n.standsAside.Load() }

// onTwin takes in a word of another bridge of this one's name. Who has said less, as a rule
// the one that came later, stands aside and says nothing: to others both are one.
func (n *Node) onTwin(h *standby.Heartbeat, err error, now time.Time) {
	known := n.twin.incarnation == h.Incarnation
	n.twin = twin{h.Incarnation, now, h.Seq > n.lease.seq || h.Seq == n.lease.seq && h.Incarnation < n.o.Incarnation}
	if !known && !n.twin.elder {
		n.log.Error("another bridge is not heard", zap.Error(err))
	}
	n.hinder(now)
}

// aside reports whether this bridge stands aside for another of its name.
func (n *Node) aside(now time.Time) bool {
	return n.twin.elder && now.Sub(n.twin.seen) <= 2*n.o.Config.HASilence
}

// hinder looks for what keeps this bridge from taking part.
func (n *Node) hinder(now time.Time) {
	n.hinderedAt = now
	why := n.hindrance(now)
	before := n.hindered.Load()
	switch {
	case why == nil && before == nil, why != nil && before != nil && (*before).Error() == why.Error():
		return
	case why == nil:
		n.log.Info("this bridge can lead again")
		n.hindered.Store(nil)
	default:
		n.log.Error("this bridge leads nothing more", zap.Error(why))
		n.hindered.Store(&why) // whoever sees it finds it in the log
	}
}

func (n *Node) hindrance(now time.Time) error {
	aside := n.aside(now)
	if n.standsAside.Store(aside); aside {
		return fmt.Errorf("another bridge is called %s and was there before: give each its own BRIDGE_NODE; this one stands aside while it is heard", n.o.Config.Node)
	}
	if !n.o.Conn.Up() {
		return n.Hindered() // it may be as it was
	}
	if err := n.o.Conn.Stand()[n.subject("*")]; err != nil && !errors.Is(err, natsconn.ErrNotYet) {
		return err
	}
	if d := n.denied.Load(); d != nil && now.Sub(d.at) < deniedFor && d.connects == n.o.Conn.Connected() {
		return d.why
	}
	return n.o.Unshared()
}

// mayClaim reports whether this bridge may come to lead what it does not lead.
func (n *Node) mayClaim() bool { return !n.leaving && n.hindered.Load() == nil }

// onError hears that NATS does not let this bridge say that it is there, or who leads. It may
// be called from any goroutine.
func (n *Node) onError(err error) {
	subject, publish, denied := natsconn.Denial(err)
	beats := subject == n.subject(n.o.Config.Node)
	if publish && (beats || natsconn.Covers(streams.Terms(n.o.Config.SubjectPrefix), subject)) {
		n.denied.Store(&denial{denied, time.Now(), n.o.Conn.Connected(), beats})
	}
}

// onOwn hears a Heartbeat of its own. One that was sent after NATS had denied another shows that
// this bridge may publish them again.
func (n *Node) onOwn(seq uint64, now time.Time) {
	n.lease.returned(seq, n.roster.Silence(now), now)
	if d := n.denied.Load(); d != nil && d.beats && n.lease.sentAt(seq).After(d.at) {
		n.denied.CompareAndSwap(d, nil)
	}
}

// Hindered returns why this bridge leads nothing more than it does, nil if it may lead. It may
// be called from any goroutine.
func (n *Node) Hindered() error {
	if why := n.hindered.Load(); why != nil {
		return *why
	}
	return nil
}

// IsIdle reports whether this bridge leads no server and may lead none. It may be called from
// any goroutine.
func (n *Node) IsIdle() bool {
	return n.Hindered() != nil && !slices.ContainsFunc(n.now.Load().all, func(s *server) bool { return s.leading.Load() })
}

// Troubles returns why nobody is known to lead servers, by their names: what the stream last
// answered. It may be called from any goroutine.
func (n *Node) Troubles() map[string]error {
	all := make(map[string]error)
	for _, s := range n.now.Load().all {
		if why := s.trouble.Load(); why != nil && !s.leading.Load() {
			all[s.Name] = *why
		}
	}
	return all
}

// Reasons says what keeps this bridge from leading, each in a sentence.
func (n *Node) Reasons() (all []string) {
	if why := n.Hindered(); why != nil {
		all = append(all, "this bridge leads nothing more: "+why.Error())
	}
	for _, s := range n.now.Load().all {
		if node := s.known.unheard.Load(); node != nil {
			all = append(all, fmt.Sprintf("%s: %s leads it and is not heard: does NATS carry %s between the two?", s.Name, *node, n.subject(">")))
		}
	}
	troubles := n.Troubles()
	for _, name := range slices.Sorted(maps.Keys(troubles)) {
		all = append(all, name+": who leads it is not known: "+troubles[name].Error())
	}
	return all
}
