package standby

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

const worldBeat = 250 * time.Millisecond

// placeWorld is bridges that come and go and divide servers among them: a model of what
// their sessions and leads do, in a time of its own.
type placeWorld struct {
	t       *testing.T
	rng     *rand.Rand
	now     time.Time
	copies  int
	loses   int // of a hundred Heartbeats
	servers []string
	bridges []*placed
	led     map[string]time.Time // when the server was led last
	term    uint64
	shaken  time.Time // when something happened last
	moves   []moved   // since then
	begins  map[string]int
}

// moved is a Move, and by whom and when.
type moved struct {
	at     time.Duration // since something happened
	bridge string
	Move
}

// placed is one of them.
type placed struct {
	name  string
	n     int // starts
	has   []string
	far   []string // servers that it has and does not reach
	r     *Roster  // nil while it is gone
	from  time.Time
	reads map[string]*held
}

// held is what it has of a server.
type held struct {
	since, up, sync time.Time // up and sync: from then on, or zero
	term            uint64    // that it leads in; 0: it does not
	again           time.Time // until then it claims that anew
	hindered        bool      // and something keeps it from that
}

func (w *placeWorld) shake() {
	w.shaken, w.moves = w.now, nil
	clear(w.begins)
}

func (w *placeWorld) start(b *placed, weight int) {
	b.n++
	b.r, b.from, b.reads = NewRoster(b.name, fmt.Sprint("i", b.n), weight, time.Second), w.now, map[string]*held{}
	b.r.Serve(b.has)
	w.shake()
}

func (w *placeWorld) stop(b *placed) {
	b.r = nil
	w.shake()
}

func (w *placeWorld) pass(d time.Duration) {
	for end := w.now.Add(d); w.now.Before(end); {
		w.now = w.now.Add(worldBeat)
		for _, s := range w.servers {
			w.lead(s)
		}
		for _, b := range w.bridges {
			if b.r != nil {
				w.beat(b)
			}
		}
		for _, b := range w.bridges {
			if b.r != nil && w.now.Sub(b.from) >= 1500*time.Millisecond {
				for _, m := range b.r.Moves(func(string) int { return w.copies }, w.now) {
					w.move(b, m)
				}
			}
		}
	}
}

// lead has somebody lead the server, if it is time.
func (w *placeWorld) lead(server string) {
	var claims *placed
	for _, b := range w.bridges {
		if b.r == nil || b.reads[server] == nil {
			continue
		}
		s := b.reads[server]
		if s.term > 0 {
			w.led[server] = w.now
			return
		}
		silent := w.now.Sub(w.led[server])
		if inSync := w.is(s.sync); inSync && silent >= time.Second || w.is(s.up) && silent >= 3*time.Second {
			claims = b
		}
	}
	if claims != nil {
		w.give(server, claims)
	}
}

func (w *placeWorld) give(server string, to *placed) {
	w.term++
	for _, b := range w.bridges {
		if s := b.reads[server]; s != nil && b != to {
			s.term = 0
		}
	}
	to.reads[server].term, w.led[server] = w.term, w.now
}

func (w *placeWorld) is(at time.Time) bool { return !at.IsZero() && !w.now.Before(at) }

// beat has the others hear how b stands, but for what is lost.
func (w *placeWorld) beat(b *placed) {
	var leads []Leads
	var stands []Stands
	var tries []Tries
	for server, s := range b.reads {
		state, term := Joining, uint64(0)
		if w.is(s.sync) {
			state, term = InSync, w.termOf(server)
		}
		again := w.now.Before(s.again)
		switch {
		case again && !s.hindered && s.term > 0:
			stands = append(stands, Stands{Server: server, State: InSync.String(), Term: s.term})
		case again && s.term > 0:
			tries = append(tries, Tries{server, w.now.Sub(s.again.Add(-claimsFor)).Milliseconds()})
		case s.term > 0:
			leads = append(leads, LeadsOf(server, Mark{Term: s.term, Epoch: "e"}, ""))
		case w.is(s.up):
			stands = append(stands, Stands{Server: server, State: state.String(), Term: term})
		default:
			tries = append(tries, Tries{server, w.now.Sub(s.since).Milliseconds()})
		}
	}
	b.r.Try(tries)
	h := b.r.Beat(leads, stands, w.now)
	for _, other := range w.bridges {
		if other.r == nil || other != b && w.rng.IntN(100) < w.loses {
			continue
		}
		if err := other.r.Observe(h, w.now); err != nil {
			w.t.Fatal(err)
		}
	}
}

func (w *placeWorld) termOf(server string) (term uint64) {
	for _, b := range w.bridges {
		if s := b.reads[server]; s != nil {
			term = max(term, s.term)
		}
	}
	return term
}

// ms is a time of up to most milliseconds from now.
func (w *placeWorld) ms(most int) time.Time {
	return w.now.Add(time.Duration(1+w.rng.IntN(most)) * time.Millisecond)
}

func (w *placeWorld) move(b *placed, m Move) {
	w.moves = append(w.moves, moved{w.now.Sub(w.shaken), b.name, m})
	s := b.reads[m.Server]
	switch {
	case m.Kind == Begin && s != nil || m.Kind != Begin && s == nil:
		w.t.Fatalf("%s: %+v with %+v", b.name, m, s)
	case m.Kind == Begin:
		w.begins[b.name+" "+m.Server]++
		s = &held{since: w.now}
		if !slices.Contains(b.far, m.Server) {
			s.up = w.ms(2000)
			s.sync = s.up.Add(w.ms(12_000).Sub(w.now))
		}
		b.reads[m.Server] = s
	case m.Kind == End && s.term > 0: // the bridge waits for what comes of its claim
	case m.Kind == End:
		delete(b.reads, m.Server)
		if w.is(s.up) && w.inSync(m.Server) == 0 && w.now.Sub(w.shaken) > 2*time.Second {
			w.t.Fatalf("%s leaves %s to nobody: %v", b.name, m.Server, w.moves)
		}
	case s.term > 0:
		for _, to := range w.bridges {
			if to.name == m.To && to.r != nil && to.reads[m.Server] != nil && w.is(to.reads[m.Server].sync) {
				w.give(m.Server, to)
			}
		}
	}
}

// inSync is how many lead the server or could.
func (w *placeWorld) inSync(server string) (n int) {
	for _, b := range w.bridges {
		if s := b.reads[server]; b.r != nil && s != nil && (s.term > 0 || w.is(s.sync)) {
			n++
		}
	}
	return n
}
