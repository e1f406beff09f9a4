package standby

import (
	"slices"
	"time"
)

const (
	// movePause is between two moves of one bridge for the sake of its place alone. What
	// nobody reads waits for none.
	movePause = time.Second
	// moveAfter is how long a bridge is heard without a silence before servers are
	// moved to it: one that comes and goes has none.
	moveAfter = 10 * time.Second
	// proven is how long a bridge has to last to be given leads as soon as moveAfter lets it when it
	// comes again. For one that did not that is twice as long each time, up to proven.
	proven = 5 * time.Minute
	// lostAfter is how long a bridge may be silent until others read what it did, where
	// somebody reads it still: one that was only started anew finds all in its place.
	lostAfter = 5 * time.Second
	// stuckAfter is how long a bridge may be without a session until one more reads the
	// server: it may be the only one that Asterisk is not there for.
	stuckAfter = 15 * time.Second
)

// Tries is a server that the sender is to read, and of which it has no event session.
type Tries struct {
	Server string `json:"server"`
	ForMS  int64  `json:"for_ms"` // since when
}

// MoveKind is what a Move does.
type MoveKind uint8

const (
	Begin MoveKind = iota // log in
	End                   // log off
	GiveLead
)

// Move is what a bridge does with one server, for the sake of its place.
type Move struct {
	Server string
	Kind   MoveKind
	To     string // the node that the lead is given to
}

// Try says which servers this bridge is to read without having a session of them. It
// stands from the next Beat on.
func (r *Roster) Try(servers []Tries) { r.members[r.self].Tries = slices.Clone(servers) }

// Moves returns what this bridge is to do now, so that as many bridges as there shall be
// copies read each server, or all that have it. It looks at each server: once in a while
// is enough. At once it begins to read what lost a copy, and gives up a session that it
// does not have yet and that others have; and one copy more ends, when as many that rank
// before it have theirs in sync. What is only in the wrong place moves one a second, in
// turn: who ranks first for a server begins to read it beside the others; a leader gives it
// to the best that is in sync.
func (r *Roster) Moves(copies func(server string) int, now time.Time) (moves []Move) {
	servers, patience := r.members[r.self].has, 1
	if r.Slow(now) {
		patience = slowPatience
	}
	pause := !r.moved.IsZero() && now.Sub(r.moved) < movePause
	start, _ := slices.BinarySearch(servers, r.lastMoved+"\x00")
	for i := range servers {
		server := servers[(start+i)%len(servers)]
		m, waits, ok := r.moveOf(server, max(1, copies(server)), patience, now)
		if !ok || waits && pause {
			continue
		}
		moves = append(moves, m)
		if waits {
			r.moved, r.lastMoved, pause = now, server, true
		}
	}
	return moves
}

// seat is a bridge that a server could have for a reader.
type seat struct {
	said
	ranked
	alive  bool
	recent bool // it was heard as lately as who leads must be
	reads  bool
	up     bool // it has a session
	stuck  bool // it has had none for long
}

// holds reports whether it leads the server or could.
func (s *seat) holds() bool {
	return s.alive && s.up && (s.leads != nil || s.stands.isInSync())
}

func (s *Stands) isInSync() bool { return s != nil && s.State == InSync.String() }

func (s *Stands) inSync(term uint64) bool { return s.isInSync() && s.Term == term }

// seats are those of a server, the best first. One that is silent keeps its seat for a
// while, but for a server that nobody else reads. Patience says how much longer. What is
// returned is valid until the next call.
func (r *Roster) seats(server string, patience int, now time.Time) []seat {
	all, says := r.seated[:0], r.said(server)
	read := false
	for _, one := range r.ranks(server) {
		alive := r.alive(one.member, now)
		if !alive && now.Sub(one.at) > time.Duration(patience)*lostAfter {
			continue
		}
		said := says.of(one.member)
		s := seat{
			said: said, ranked: one.ranked,
			alive: alive, recent: one.Node == r.self || now.Sub(one.at) <= time.Duration(patience)*r.silence,
			up: said.tries == nil && (said.leads != nil || said.stands != nil),
		}
		s.reads, s.stuck = s.up || said.tries != nil, said.tries != nil && said.tries.ForMS >= stuckAfter.Milliseconds()
		read = read || s.reads && s.recent
		all = append(all, s)
	}
	r.seated = all
	if !read {
		all = slices.DeleteFunc(all, func(s seat) bool { return !s.recent })
	}
	return all
}

// moveOf returns what this bridge is to do with a server, and whether that waits for a
// moment without a move.
func (r *Roster) moveOf(server string, copies, patience int, now time.Time) (m Move, waits, ok bool) {
	seats := r.seats(server, patience, now)
	self := r.members[r.self]
	at := slices.IndexFunc(seats, func(s seat) bool { return s.m == self })
	if at < 0 {
		return m, false, false
	}
	me, before := &seats[at], seats[:at]
	switch {
	case me.leads != nil:
		return r.leadOf(server, me, before[:min(copies, at)], now)
	case !me.reads && missing(seats, at, copies):
		return Move{Server: server, Kind: Begin}, false, true
	case !me.reads && at < copies:
		return Move{Server: server, Kind: Begin}, true, now.Sub(self.since) >= moveAfter
	case !me.reads:
		return m, false, false
	case !me.up:
		have := count(before, func(s *seat) bool { return s.recent && s.reads && !s.stuck })
		return Move{Server: server, Kind: End}, false, have >= copies
	}
	have := count(before, (*seat).holds)
	return Move{Server: server, Kind: End}, false, have >= copies
}

// leadOf gives the lead to the best that is in sync with it.
func (r *Roster) leadOf(server string, me *seat, better []seat, now time.Time) (m Move, waits, ok bool) {
	for i := range better {
		if s := &better[i]; s.alive && s.stands.inSync(me.leads.Term) && s.stands.Unable == "" && now.Sub(s.m.since) >= max(moveAfter, s.m.proves) {
			return Move{Server: server, Kind: GiveLead, To: s.node}, true, true
		}
	}
	return m, false, false
}

// missing reports whether the at'th, who does not read, is to do so at once. Who ranks
// among the first does not wait for one behind that has no session either. For those who
// are stuck one more reads, whoever they are: an Asterisk that is down is not asked by all.
func missing(seats []seat, at, copies int) bool {
	readers, stuck := 0, 0
	for i := range seats {
		if s := &seats[i]; s.reads && (s.up || i < copies || at >= copies) {
			readers++
		}
		if seats[i].stuck {
			stuck = 1
		}
	}
	idle := count(seats[:at], func(s *seat) bool { return !s.reads })
	if at < copies {
		return readers < copies
	}
	return readers-stuck+idle < copies
}

func count(seats []seat, is func(*seat) bool) (n int) {
	for i := range seats {
		if is(&seats[i]) {
			n++
		}
	}
	return n
}
