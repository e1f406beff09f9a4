package standby

import (
	"slices"
	"time"
)

const (
	// movePause is between two moves of one bridge.
	movePause = time.Second
	// moveAfter is how long a bridge is heard without a silence before servers are
	// moved to it: one that comes and goes has none.
	moveAfter = 10 * time.Second
)

// Move is what a bridge does with one server, for the sake of its place alone.
type Move struct {
	Server string
	To     string // the node that the lead is yielded to; "": the session is closed
}

// Holds reports whether this bridge is among the copies that hold a session of the
// server.
func (r *Roster) Holds(server string, copies int, now time.Time) bool {
	nodes := r.Ranked(server, now)
	return slices.Contains(nodes[:min(copies, len(nodes))], r.self)
}

// Move returns the next move that is due, at most one a second: a server that this
// bridge leads goes to the best of the copies that is in sync, if that ranks before it;
// a session that it holds and should not is closed, when all the copies hold theirs. It
// goes through the servers in turn; it looks at each, so that once a second is enough.
func (r *Roster) Move(copies func(server string) int, now time.Time) (Move, bool) {
	if !r.moved.IsZero() && now.Sub(r.moved) < movePause {
		return Move{}, false
	}
	servers := r.members[r.self].has
	start, _ := slices.BinarySearch(servers, r.lastMoved+"\x00")
	for i := range servers {
		server := servers[(start+i)%len(servers)]
		if to, ok := r.moveOf(server, copies(server), now); ok {
			r.moved, r.lastMoved = now, server
			return Move{server, to}, true
		}
	}
	return Move{}, false
}

func (r *Roster) moveOf(server string, copies int, now time.Time) (to string, ok bool) {
	me := r.members[r.self]
	leads := me.leads(server)
	if leads == nil && me.stands(server) == nil {
		return "", false
	}
	nodes := r.Ranked(server, now)
	nodes = nodes[:min(copies, len(nodes))]
	for _, node := range nodes {
		switch m := r.members[node]; {
		case node == r.self:
			return "", false
		case leads != nil && m.inSync(server, leads.Term) && m.stands(server).Unable == "" && now.Sub(m.since) >= moveAfter:
			return node, true
		case leads == nil && !m.holds(server):
			return "", false
		}
	}
	return "", leads == nil && len(nodes) > 0
}

func (m *member) inSync(server string, term uint64) bool {
	s := m.stands(server)
	return s != nil && s.State == InSync.String() && s.Term == term
}

// holds reports whether the bridge leads the server or could.
func (m *member) holds(server string) bool {
	s := m.stands(server)
	return m.leads(server) != nil || s != nil && s.State == InSync.String()
}
