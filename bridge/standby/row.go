package standby

import (
	"slices"
	"strings"
)

// row is what all bridges say of a server, and who has it: a leader is looked up at each tick,
// for each server, and who hears many bridges does not ask each of them.
type row struct {
	server string
	says   sayings
	ranks  []rank // those that have the server, the best first
	lists  int    // of the Roster, that ranks is of
}

// said is what a bridge says of a server in its last Heartbeat: one of the three, as a rule.
type said struct {
	m      *member
	leads  *Leads
	stands *Stands
	tries  *Tries
}

// sayings is what bridges say of one server.
type sayings []said

// rank is a bridge that has a server.
type rank struct {
	*member
	ranked
}

// said returns what all say of a server. Nobody changes it.
func (r *Roster) said(server string) sayings {
	if w := r.rows[server]; w != nil {
		return w.says
	}
	return nil
}

// rowOf returns what is known of a server, to be changed.
func (r *Roster) rowOf(server string) *row {
	w := r.rows[server]
	if w == nil {
		w = &row{server: strings.Clone(server)} // it is a part of the message
		r.rows[w.server] = w
	}
	return w
}

// of returns what m says of the server.
func (all sayings) of(m *member) said {
	for i := range all {
		if all[i].m == m {
			return all[i]
		}
	}
	return said{m: m}
}

// term returns the highest term of the server that anybody leads or follows: who led may
// have been started anew, and knows nothing of it.
func (all sayings) term() (term uint64) {
	for i := range all {
		if l := all[i].leads; l != nil {
			term = max(term, l.Term)
		}
		if s := all[i].stands; s != nil {
			term = max(term, s.Term)
		}
	}
	return term
}

// stands returns what the node says that it stands by for; nil if it says nothing.
func (r *Roster) stands(server, node string) *Stands {
	if m := r.members[node]; m != nil {
		return r.said(server).of(m).stands
	}
	return nil
}

// index has what the Heartbeat of m says be found by its server, and counts what is asked for at each tick.
func (r *Roster) index(m *member) {
	before := m.rows
	r.forget(m)
	m.rows, m.spare = m.spare[:0], before
	m.mute = 0
	for i := range m.Leads {
		r.sayOf(m, m.Leads[i].Server).leads = &m.Leads[i]
		if m.Leads[i].Unable == Mute {
			m.mute++
		}
	}
	for i := range m.Stands {
		r.sayOf(m, m.Stands[i].Server).stands = &m.Stands[i]
	}
	for i := range m.Tries {
		r.sayOf(m, m.Tries[i].Server).tries = &m.Tries[i]
	}
	for _, w := range before {
		r.prune(w)
	}
}

// sayOf returns what m says of the server, to be filled in.
func (r *Roster) sayOf(m *member, server string) *said {
	w := r.rowOf(server)
	for i := range w.says {
		if w.says[i].m == m {
			return &w.says[i]
		}
	}
	w.says = append(w.says, said{m: m})
	m.rows = append(m.rows, w)
	return &w.says[len(w.says)-1]
}

// forget forgets what m has said.
func (r *Roster) forget(m *member) {
	for _, w := range m.rows {
		w.says = slices.DeleteFunc(w.says, func(s said) bool { return s.m == m })
	}
}

// prune forgets a server of which nobody says anything, and which this bridge does not have.
func (r *Roster) prune(w *row) {
	if len(w.says) == 0 && !r.members[r.self].serves(w.server) {
		delete(r.rows, w.server)
	}
}

// ranks returns those that have the server, the best first.
func (r *Roster) ranks(server string) []rank {
	w := r.rows[server]
	if w == nil {
		w = &row{server: server} // it is not kept
	}
	if w.lists != r.lists {
		w.ranks, w.lists = w.ranks[:0], r.lists
		for _, m := range r.members {
			if m.serves(server) {
				w.ranks = append(w.ranks, rank{m, ranked{m.Node, score(server, m.Node, m.Weight)}})
			}
		}
		slices.SortFunc(w.ranks, func(a, b rank) int { return byScore(a.ranked, b.ranked) })
	}
	return w.ranks
}
