package standby

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"
)

const (
	// maxBridges bounds the bridges of one prefix. When there are more, those that
	// have been silent longest are forgotten, and those that come last not heard.
	maxBridges = 64
	// listBeats is in how many Heartbeats the list goes out after a change or when a
	// bridge is new; it goes out in every listEvery'th as well, for one may be lost.
	listBeats = 3
	listEvery = 40
)

// Roster is who was heard: the bridges of one prefix, this one among them.
type Roster struct {
	self      string
	silence   time.Duration
	members   map[string]*member
	rows      map[string]*row // by server
	lists     int             // counts the changes of who has which servers, from 1
	listLeft  int
	moved     time.Time
	lastMoved string

	claims []claimant // of claimants, to be used again
	seated []seat     // likewise, of seats
}

// member is a bridge, by its last Heartbeat.
type member struct {
	Heartbeat
	before string        // the incarnation that this one has replaced
	at     time.Time     // when it was heard
	since  time.Time     // since when it is heard without a silence
	proves time.Duration // it has to be heard for as long until it is given a lead
	has    []string      // its servers, sorted; those of its last list

	mute int // servers that it leads, and says that it is Mute for

	rows, spare []*row // of the servers that the Heartbeat names; to be used again
}

// NewRoster returns the Roster of a bridge. One that is silent for longer than half as
// much again as silence has no share in the servers.
func NewRoster(node, incarnation string, weight int, silence time.Duration) *Roster {
	self := &member{Heartbeat: Heartbeat{Node: node, Incarnation: incarnation, Weight: weight, SilenceMS: silence.Milliseconds()}}
	return &Roster{self: node, silence: silence, members: map[string]*member{node: self}, rows: map[string]*row{}, lists: 1}
}

// Serve says which servers this bridge has.
func (r *Roster) Serve(servers []string) {
	me := r.members[r.self]
	me.has, me.List = slices.Clone(servers), ListHash(servers)
	slices.Sort(me.has)
	r.listLeft = listBeats
	r.lists++
	for _, name := range me.has {
		r.rowOf(name)
	}
	for _, w := range r.rows {
		r.prune(w)
	}
}

// Group says which groups this bridge has.
func (r *Roster) Group(groups Sum) { r.members[r.self].Groups = groups }

// OtherGroups reports whether a bridge that is alive has other groups than this one. One that does
// not say is of a version before, and not counted.
func (r *Roster) OtherGroups(now time.Time) bool {
	for _, m := range r.members {
		if m.Groups != 0 && m.Groups != r.members[r.self].Groups && r.alive(m, now) {
			return true
		}
	}
	return false
}

// Beat returns the next Heartbeat of this bridge, which stands for what the Roster
// knows of it until the next. The Roster keeps what it is given.
func (r *Roster) Beat(leads []Leads, stands []Stands, now time.Time) *Heartbeat {
	me := r.members[r.self]
	if me.since.IsZero() {
		me.since = now
	}
	me.at = now
	me.Seq++
	me.Leads, me.Stands = leads, stands
	r.index(me)
	h := me.Heartbeat
	if r.listLeft > 0 || me.Seq%listEvery == 1 {
		r.listLeft = max(0, r.listLeft-1)
		h.Servers = me.has
	}
	return &h
}

// ErrSameNode is another live bridge of this one's node name.
var ErrSameNode = errors.New("another bridge has the same node name: give each its own BRIDGE_NODE")

// Knows reports whether the Heartbeat is the last that was observed of its bridge.
func (r *Roster) Knows(h *Heartbeat) bool {
	m := r.members[h.Node]
	return m != nil && m.Incarnation == h.Incarnation && m.Seq == h.Seq
}

// Observe takes in another bridge's Heartbeat, which the Roster keeps. One that is older
// than the last is ignored, until the bridge is silent: then the last was not its own.
func (r *Roster) Observe(h *Heartbeat, now time.Time) error {
	m := r.members[h.Node]
	switch {
	case h.Node == r.self && h.Incarnation == m.Incarnation:
		return nil // its own
	case h.Node == r.self:
		return fmt.Errorf("%w: %s", ErrSameNode, h.Node)
	case m == nil:
		if !r.admit(now) {
			return fmt.Errorf("there are %d other bridges already: %s is not heard", maxBridges-1, h.Node)
		}
		m = &member{since: now}
		r.members[h.Node] = m
		r.listLeft = listBeats
	case r.alive(m, now) && (h.Incarnation == m.before || h.Incarnation == m.Incarnation && h.Seq <= m.Seq):
		return nil
	case h.Incarnation != m.Incarnation:
		m.before, m.has = m.Incarnation, nil
		m.comes(now)
		r.listLeft = listBeats
		r.lists++
	case !r.alive(m, now):
		m.comes(now)
		r.listLeft = listBeats
	}
	if h.Weight != m.Weight {
		r.lists++
	}
	m.Heartbeat, m.at = *h, now
	r.index(m)
	if len(h.Servers) > 0 || h.List == ListHash(nil) {
		if has := slices.Sorted(slices.Values(h.Servers)); !slices.Equal(has, m.has) {
			m.has = has
			r.lists++
		}
	}
	return nil
}

// comes notes that it is heard again, after a silence or by another process.
func (m *member) comes(now time.Time) {
	m.proves = min(2*max(m.proves, moveAfter), proven)
	if m.at.Sub(m.since) >= proven {
		m.proves = 0
	}
	m.since = now
}

// admit makes room for one more.
func (r *Roster) admit(now time.Time) bool {
	if len(r.members) < maxBridges {
		return true
	}
	var oldest *member
	for _, m := range r.members {
		if !r.alive(m, now) && (oldest == nil || m.at.Before(oldest.at)) {
			oldest = m
		}
	}
	if oldest == nil {
		return false
	}
	delete(r.members, oldest.Node)
	r.forget(oldest)
	for _, w := range oldest.rows {
		r.prune(w)
	}
	r.lists++
	return true
}

// leastSilence is the least that BRIDGE_HA_SILENCE may be.
const leastSilence = 500 * time.Millisecond

// Silence returns after how long somebody takes this bridge for dead, if it is not heard: the
// shortest silence of all that are alive. A bridge says none of less than leastSilence; who leads
// would be sure of nothing for one of a millisecond that somebody forged.
func (r *Roster) Silence(now time.Time) time.Duration {
	shortest := r.silence.Milliseconds()
	for _, m := range r.members {
		if m.SilenceMS > 0 && r.alive(m, now) {
			shortest = min(shortest, max(m.SilenceMS, leastSilence.Milliseconds()))
		}
	}
	return time.Duration(shortest) * time.Millisecond
}

func (r *Roster) alive(m *member, now time.Time) bool {
	return m.Node == r.self || now.Sub(m.at) <= r.silence*3/2
}

func (m *member) serves(server string) bool {
	_, ok := slices.BinarySearch(m.has, server)
	return ok
}

// Leader is who was last heard to lead a server.
type Leader struct {
	Node, Incarnation string
	At                time.Time // when it was heard
	Mark              Mark
	Yields            string
	Unable            Unable
}

// Leader returns the bridge, dead or alive, that was heard to lead the server with the
// highest term; of two, in a stream made anew, the one heard last.
func (r *Roster) Leader(server string) (Leader, bool) {
	return r.leader(server, func(*member) bool { return true })
}

// leader is Leader, of those bridges that are counted.
func (r *Roster) leader(server string, counts func(*member) bool) (l Leader, ok bool) {
	for _, s := range r.said(server) {
		m, says := s.m, s.leads
		if says == nil || says.Term < l.Mark.Term || !counts(m) {
			continue
		}
		if says.Term > l.Mark.Term || m.at.After(l.At) || m.at.Equal(l.At) && m.Node < l.Node {
			l, ok = Leader{m.Node, m.Incarnation, m.at, says.Mark(), says.Yields, says.Unable}, true
		}
	}
	return l, ok
}

// Ranked returns the nodes that are alive and have the server, the best first. The
// first copies of them shall read it, and the first of those lead, once in sync.
func (r *Roster) Ranked(server string, now time.Time) (nodes []string) {
	for _, m := range r.ranks(server) {
		if r.alive(m.member, now) {
			nodes = append(nodes, m.Node)
		}
	}
	return nodes
}

// claimant is a standby that might claim.
type claimant struct {
	ranked
	inSync bool
	age    int64
	unable Unable
}

// claimants returns who stands by for the server and is alive, in the order in which
// they claim: those in sync with the highest term, who can act before who cannot, by rank,
// then those whose session is the oldest, and those that are mute at last. Bridges that have heard the same have the same order.
// What is returned is valid until the next call.
func (r *Roster) claimants(server string, now time.Time) []claimant {
	all, says := r.claims[:0], r.said(server)
	term := says.term()
	for _, one := range says {
		if m, s := one.m, one.stands; s != nil && r.alive(m, now) {
			all = append(all, claimant{ranked{m.Node, score(server, m.Node, m.Weight)}, s.inSync(term), s.AgeMS, s.Unable})
		}
	}
	r.claims = all
	slices.SortFunc(all, func(a, b claimant) int {
		switch mute := a.unable == Mute; {
		case mute != (b.unable == Mute):
			return order(!mute)
		case a.inSync != b.inSync:
			return order(a.inSync)
		case a.inSync && a.unable != b.unable:
			return cmp.Compare(a.unable.worse(), b.unable.worse())
		case !a.inSync && a.age != b.age:
			return cmp.Compare(b.age, a.age)
		}
		return byScore(a.ranked, b.ranked)
	})
	return all
}

// order has one come first, or not.
func order(first bool) int {
	if first {
		return -1
	}
	return 1
}

// Turn returns how many others claim the server before this bridge.
func (r *Roster) Turn(server string, now time.Time) int {
	all := r.claimants(server, now)
	if i := slices.IndexFunc(all, func(c claimant) bool { return c.node == r.self }); i >= 0 {
		return i
	}
	return len(all)
}

// Successor returns who would claim first if this bridge did not lead the server, and
// whether it is in sync; "" if nobody stands by.
func (r *Roster) Successor(server string, now time.Time) (node string, inSync bool) {
	for _, c := range r.claimants(server, now) {
		if c.node != r.self {
			return c.node, c.inSync
		}
	}
	return "", false
}
