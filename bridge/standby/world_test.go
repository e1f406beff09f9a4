package standby

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// event is what an Asterisk sends. Equal contents are equal bytes.
type event struct{ thread, content int }

func (e event) hash() uint64 { return Hash(fmt.Appendf(nil, "Event: %d", e.content)) }

// asterisk is a model of one: its threads raise events, which every session gets. A
// session with a spread gets them in an order of its own, displaced by at most that, in
// which each thread's events are in order: as Asterisk 22.11 does it. Without, all
// sessions have one order.
type asterisk struct {
	rng      *rand.Rand
	sent     []event
	sessions []*session
	threads  int
	repeats  float64 // share of events that equal one before
	shared   bool    // equal events come from different threads as well
	last     []int
	fresh    int
}

type session struct {
	a       *asterisk
	spread  int
	pending []event
}

func (a *asterisk) login(spread int) *session {
	s := &session{a: a, spread: spread}
	a.sessions = append(a.sessions, s)
	return s
}

// logoff ends a session.
func (a *asterisk) logoff(s *session) {
	a.sessions = slices.DeleteFunc(a.sessions, func(other *session) bool { return other == s })
}

func (a *asterisk) raise(n int) {
	for range n {
		e := event{thread: a.rng.IntN(a.threads)}
		for len(a.last) <= e.thread {
			a.last = append(a.last, 0)
		}
		if a.rng.Float64() >= a.repeats {
			a.fresh++
			a.last[e.thread] = a.fresh
		}
		e.content = a.last[e.thread]
		if a.shared && a.rng.Float64() < a.repeats {
			e.content = -1 - a.rng.IntN(3)
		}
		if e.content == 0 {
			e.content = -10 - e.thread
		}
		a.sent = append(a.sent, e)
		for _, s := range a.sessions {
			s.pending = append(s.pending, e)
		}
	}
}

// next returns the session's next event.
func (s *session) next() (event, bool) {
	if len(s.pending) == 0 {
		return event{}, false
	}
	i := 0
	if s.spread > 0 && s.a.rng.IntN(4) == 0 {
		i = s.a.rng.IntN(min(s.spread, len(s.pending)))
		i = slices.IndexFunc(s.pending, func(e event) bool { return e.thread == s.pending[i].thread })
	}
	e := s.pending[i]
	s.pending = slices.Delete(s.pending, i, i+1)
	return e, true
}

// stored is a message in the model of the stream.
type stored struct {
	id ID
	event
}

// bridge is a model of a bridge's half that reads: an outbox, and whichever of the
// package's parts it has at the time.
type bridge struct {
	name    string
	session *session
	held    []event
	follows *Follower
	leads   *Ledger
	sent    int // of held
}

const testServer = "pbx1"

func (b *bridge) read(n int) {
	for range n {
		e, ok := b.session.next()
		if !ok {
			return
		}
		hold := false
		if b.leads != nil {
			hold = b.leads.Read(e.hash())
		} else {
			hold = b.follows.Read(e.hash())
		}
		if hold {
			b.held = append(b.held, e)
		}
	}
}

// send sends n more, and returns what the stream gets.
func (b *bridge) send(n int) (out []stored) {
	for range min(n, len(b.held)-b.sent) {
		e := b.held[b.sent]
		number, ok := b.leads.Send(e.hash())
		if !ok {
			break
		}
		b.sent++
		out = append(out, stored{ID{testServer, b.leads.Epoch(), number, e.hash()}, e})
	}
	return out
}

// ack has all up to n be stored.
func (b *bridge) ack(n uint64) {
	before := b.leads.Acked()
	b.leads.Ack(n)
	gone := int(b.leads.Acked() - before)
	b.held, b.sent = b.held[gone:], b.sent-gone
}

func (b *bridge) hear(m Mark, now time.Time) {
	if b.follows != nil {
		b.held = b.held[b.follows.Observe(m, now):]
	}
}

// depose makes a standby of a leader.
func (b *bridge) depose(term uint64) {
	b.follows = b.leads.Follow(term, 1<<17, time.Time{}, func(yield func(uint64) bool) {
		for _, e := range b.held {
			if !yield(e.hash()) {
				return
			}
		}
	})
	b.leads, b.sent = nil, 0
}

// takeOver makes a leader of a standby.
func (b *bridge) takeOver(tail *Tail) error {
	var gone []int
	l, err := b.follows.TakeOver(tail, func(i int) { gone = append(gone, i) })
	if err != nil {
		return err
	}
	return b.lead(l, gone)
}

// lead has the bridge lead without those of what it holds that are gone.
func (b *bridge) lead(l *Ledger, gone []int) error {
	kept := b.held[:0:0]
	for i, e := range b.held {
		if len(gone) > 0 && gone[0] == i {
			gone = gone[1:]
			continue
		}
		kept = append(kept, e)
	}
	if len(gone) > 0 {
		return fmt.Errorf("told of %v, which is not held", gone)
	}
	b.held, b.leads, b.follows, b.sent = kept, l, nil, 0
	return nil
}
