package ha

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/standby"
)

// nobodyAfter is for how many silences nobody has led a server before a bridge says so: a
// take-over is over by then, and so is a cold start.
const nobodyAfter = 5

// known is what is told of a server. The first three are the Node's goroutine's.
type known struct {
	spoke    bool   // of Changed
	claimant string // by the last record of a term that was seen
	logged   uint64 // the term that the log says this bridge leads; 0: it says that it stands by

	standing atomic.Pointer[standing] // nil: not looked at yet
	yields   atomic.Bool              // it has said who shall claim
	unheard  atomic.Pointer[string]   // who leads and is not heard, once that lasts; nil: nobody

	mu        sync.Mutex        // protects the following
	takeOvers map[string]uint64 // by reason
}

// standing is how a server stands, and whether nobody leads it and it is this bridge that
// says so.
type standing struct {
	standby.Standing
	first bool
}

func (k *known) countTakeOver(reason string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.takeOvers == nil {
		k.takeOvers = make(map[string]uint64)
	}
	k.takeOvers[reason]++
}

// look has others know how all servers stand, as this bridge has it.
func (n *Node) look(now time.Time) {
	for s := range n.begun() {
		n.lookAt(s, now)
	}
	peers := n.roster.Peers(now)
	n.peers.Store(&peers)
}

func (n *Node) lookAt(s *server, now time.Time) {
	n.lookUnheard(s, now)
	before, spoke := s.known.standing.Load(), s.known.spoke
	v := n.standing(s, now)
	if s.known.spoke = s.led || v.first; before == nil || !before.is(&v) {
		kept := v
		kept.Standbys = slices.Clone(v.Standbys)
		s.known.standing.Store(&kept)
	}
	if s.known.spoke != spoke || before == nil || isOther(before, &v) {
		s.Changed(s.known.spoke)
	}
}

// lookUnheard notes who leads s and is not heard to. One that has just claimed is heard a moment
// later.
func (n *Node) lookUnheard(s *server, now time.Time) {
	node, since := s.machine.Unheard(now)
	if node != "" && now.Sub(since) < nobodyAfter*n.o.Config.HASilence {
		return
	}
	switch known := s.known.unheard.Load(); {
	case node != "" && (known == nil || *known != node):
		s.known.unheard.Store(&node)
		n.log.Error("another bridge leads and is not heard", zap.String("server", s.Name), zap.String("leader", node), zap.Uint64("term", s.machine.Term()))
	case known != nil && node == "":
		s.known.unheard.Store(nil)
	}
}

// is reports whether both say the same.
func (v *standing) is(other *standing) bool {
	return v.first == other.first && v.Leader == other.Leader && v.Term == other.Term && v.Since == other.Since &&
		v.Reason == other.Reason && slices.Equal(v.Standbys, other.Standbys)
}

// standing is how s stands now. Its Standbys are valid until the next call.
func (n *Node) standing(s *server, now time.Time) standing {
	self, before := n.o.Config.Node, s.known.standing.Load()
	unheard, _ := s.machine.Unheard(now)
	v := standing{Standing: standby.Standing{Term: s.machine.Term(), Since: now}}
	switch l, ok := n.roster.LeaderNow(s.Name, now); {
	case s.led:
		record := s.machine.Record()
		v.Leader, v.Term, v.Since, v.Reason = self, record.Term, record.Since, record.Reason
	case ok && l.Node != self:
		v.Leader, v.Term = l.Node, l.Mark.Term
	case unheard != "":
		v.Leader = unheard
	default:
		v.Reason = standby.NoSession
	}
	n.found = n.roster.Standbys(n.found[:0], s.Name, v.Leader, v.Term, now)
	v.Standbys = n.found
	if v.Leader == "" && len(v.Standbys) > 0 {
		v.Reason = standby.NoClaim
	}
	if !s.led && before != nil && before.Leader == v.Leader && (v.Leader == "" || before.Term == v.Term) {
		v.Since = before.Since
	}
	v.first = v.Leader == "" && now.Sub(v.Since) >= nobodyAfter*n.o.Config.HASilence && !n.leaving && !n.aside(now) && n.roster.IsFirst(s.Name, now)
	return v
}

// isOther reports whether b says other than a, but for how far standbys are behind.
func isOther(a, b *standing) bool {
	alike := func(a, b standby.Standby) bool { return a.Node == b.Node && a.State == b.State && a.Reason == b.Reason }
	return a.Leader != b.Leader || a.Term != b.Term || a.Reason != b.Reason || !slices.EqualFunc(a.Standbys, b.Standbys, alike)
}

// Peers returns the other bridges, as they were known a moment ago. It may be called from
// any goroutine and does not wait.
func (n *Node) Peers() []standby.Peer {
	if peers := n.peers.Load(); peers != nil {
		return *peers
	}
	return nil
}

// Speaks reports whether it is this bridge that publishes how the server is: it leads it,
// or nobody does and it is the first of those that have it.
func (h *Handle) Speaks() bool {
	v := h.s.known.standing.Load()
	return v != nil && (v.first || v.Leader == h.n.o.Config.Node && h.s.leading.Load())
}

// Sure reports whether no other bridge can have begun to lead without this one knowing: it
// has neither just woken from a freeze, nor is it cut off from NATS, or was just now, nor
// does it hand over.
func (h *Handle) Sure() bool { return !h.s.known.yields.Load() && h.n.Sure() }

// Standing returns how the server stood a moment ago; nil if nobody has looked yet. Nobody
// changes it.
func (h *Handle) Standing() *standby.Standing {
	if v := h.s.known.standing.Load(); v != nil {
		return &v.Standing
	}
	return nil
}

// TakeOvers returns how often this bridge has begun to lead the server, by reason.
func (h *Handle) TakeOvers() map[string]uint64 {
	h.s.known.mu.Lock()
	defer h.s.known.mu.Unlock()
	return maps.Clone(h.s.known.takeOvers)
}

// Own is how this bridge stands by for the server: Apart without a session of it. It means
// nothing while it leads.
func (h *Handle) Own() standby.Standby {
	how := h.s.Outbox.Shared(0)
	own := standby.Standby{Node: h.n.o.Config.Node, State: how.State, Reason: how.Reason, Lag: how.Lag, LagFor: lagFor(how.Behind, time.Now())}
	if h.s.known.unheard.Load() != nil {
		own.State, own.Reason, own.Lag, own.LagFor = standby.Joining, standby.Unheard, 0, 0
	}
	if h.s.up.Load() == 0 {
		own.State, own.Reason, own.Lag, own.LagFor = standby.Apart, standby.NoSession, 0, 0
	}
	return own
}
