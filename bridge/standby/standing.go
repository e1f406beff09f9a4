package standby

import (
	"slices"
	"strings"
	"time"
)

// Standing is who leads a server and who stands by for it, as one bridge knows it.
type Standing struct {
	Leader string // its node; "": nobody leads
	Term   uint64 // the highest that is known
	// Since is when Leader claimed, or when nobody began to lead. Of another bridge it is
	// when that was first known to lead.
	Since time.Time
	// Reason is why this bridge claimed, or why nobody leads; "" of another bridge.
	Reason   string
	Standbys []Standby // by node
}

// Why nobody leads.
const (
	NoSession = "no_session" // no bridge has an event session of the server
	NoClaim   = "no_claim"   // some have, and none has claimed yet, or NATS stores no term
)

// Standby is a bridge that is alive and stands by for a server.
type Standby struct {
	Node   string
	State  State
	Reason Reason // why it is Apart, or Joining for long
	Lag    uint64 // events stored by the leader and not found in its own session yet; see Knows
	// LagFor is for how long there is a Lag: since the Mark of the first of them was heard. It is
	// zero without one, and where a version of the bridge before does not say.
	LagFor time.Duration
}

// Knows reports whether the Lag is known.
func (b *Standby) Knows() bool {
	return b.State == InSync || b.State == Apart && (b.Reason == Behind || b.Reason == Overflow)
}

// KnowsFor reports whether LagFor is known.
func (b *Standby) KnowsFor() bool { return b.Knows() && (b.Lag == 0 || b.LagFor > 0) }

// LeaderNow is Leader, of the bridges that are alive.
func (r *Roster) LeaderNow(server string, now time.Time) (l Leader, ok bool) {
	return r.leader(server, func(m *member) bool { return r.alive(m, now) })
}

// Standbys appends to all who stands by for the server, by node, as seen by who leads the
// term. One that follows an older term has not found its place in this one yet. It is not
// leader.
func (r *Roster) Standbys(all []Standby, server, leader string, term uint64, now time.Time) []Standby {
	before := len(all)
	for _, one := range r.said(server) {
		m, s := one.m, one.stands
		if s == nil || m.Node == leader || !r.alive(m, now) {
			continue
		}
		b := Standby{Node: m.Node}
		switch {
		case s.State == Apart.String():
			b.State, b.Reason = Apart, s.Reason
		case s.State == InSync.String() && s.Term == term:
			b.State = InSync
		case s.State == Joining.String():
			b.Reason = s.Reason
		}
		if b.Knows() {
			b.Lag, b.LagFor = s.Lag, time.Duration(s.LagMS)*time.Millisecond
		}
		all = append(all, b)
	}
	slices.SortFunc(all[before:], func(a, b Standby) int { return strings.Compare(a.Node, b.Node) })
	return all
}

// IsFirst reports whether this bridge is the first of those that are alive and have the
// server. While nobody leads it, that one says so, and how the server is.
func (r *Roster) IsFirst(server string, now time.Time) bool {
	nodes := r.Ranked(server, now)
	return len(nodes) > 0 && nodes[0] == r.self
}

// Peer is another bridge, as it has said itself.
type Peer struct {
	Node     string
	At       time.Time // when that was
	Alive    bool
	Leads    int
	StandsBy int
	InSync   int // of those that it stands by for
}

// Peers returns the other bridges, by node.
func (r *Roster) Peers(now time.Time) (all []Peer) {
	for _, m := range r.members {
		if m.Node == r.self {
			continue
		}
		p := Peer{Node: m.Node, At: m.at, Alive: r.alive(m, now), Leads: len(m.Leads), StandsBy: len(m.Stands)}
		for i := range m.Stands {
			if m.Stands[i].State == InSync.String() {
				p.InSync++
			}
		}
		all = append(all, p)
	}
	slices.SortFunc(all, func(a, b Peer) int { return strings.Compare(a.Node, b.Node) })
	return all
}
