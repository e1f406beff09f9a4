package standby

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// newPlaceWorld returns a world of up to so many bridges and servers; each bridge has some
// of the servers, and some of those it does not reach where far is set.
func newPlaceWorld(t *testing.T, rng *rand.Rand, bridges, servers, copies int, far bool) *placeWorld {
	w := &placeWorld{
		t: t, rng: rng, now: time.Unix(1000, 0), copies: copies, loses: 2, servers: names("pbx", servers),
		led: map[string]time.Time{}, begins: map[string]int{},
	}
	for i := range bridges {
		b := &placed{name: fmt.Sprint("b", i+1)}
		for _, s := range w.servers {
			if rng.IntN(8) > 0 {
				b.has = append(b.has, s)
				if far && rng.IntN(10) == 0 {
					b.far = append(b.far, s)
				}
			}
		}
		w.bridges = append(w.bridges, b)
	}
	return w
}

// candidates are the bridges that have the server and reach it.
func (w *placeWorld) candidates(server string) (n int) {
	for _, b := range w.bridges {
		if b.r != nil && slices.Contains(b.has, server) && !slices.Contains(b.far, server) {
			n++
		}
	}
	return n
}

// settled wants each server to have its copies, and nothing to move any more.
func (w *placeWorld) settled(far bool) {
	w.t.Helper()
	most := 0
	for _, b := range w.bridges {
		most = max(most, len(b.has))
	}
	w.pass(moveAfter + 4*stuckAfter + time.Duration(3*most)*movePause)
	done := len(w.moves)
	w.pass(time.Minute)
	if len(w.moves) > done {
		w.t.Fatalf("it moves still: %v", w.moves)
	}
	for _, server := range w.servers {
		readers, up := 0, 0
		for _, b := range w.bridges {
			if s := b.reads[server]; b.r != nil && s != nil {
				readers++
				if w.is(s.up) {
					up++
				}
			}
		}
		want := min(w.copies, w.candidates(server))
		if far && (up < min(want, 1) || readers > w.copies+1) || !far && (readers != want || up != want) {
			w.t.Fatalf("%s has %d readers, %d of them with a session, want %d: %v", server, readers, up, want, w.moves)
		}
	}
	for what, n := range w.begins {
		if n > 2 {
			w.t.Fatalf("%s began %d times: %v", what, n, w.moves)
		}
	}
}

// Whatever comes and goes, at any moments: in the end each server has its copies or all
// that have it, nothing moves any more, and no session was left that nobody else had in sync.
func TestMoves_InTheEndEachServerHasItsCopies(t *testing.T) {
	for seed := range uint64(24) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 1))
			far := rng.IntN(2) == 0
			w := newPlaceWorld(t, rng, 1+rng.IntN(6), 1+rng.IntN(8), 1+rng.IntN(3), far)
			for range 1 + rng.IntN(8) {
				if b := w.bridges[rng.IntN(len(w.bridges))]; b.r == nil {
					w.start(b, 1+rng.IntN(3))
				} else {
					w.stop(b)
				}
				w.pass(w.ms(40_000).Sub(w.now))
			}
			w.settled(far)
		})
	}
}

// begun are the servers that a bridge has begun to read since something happened.
func (w *placeWorld) begun(b *placed) (n int) {
	for what, times := range w.begins {
		var name, server string
		if _, _ = fmt.Sscan(what, &name, &server); name == b.name {
			n += times
		}
	}
	return n
}

// A bridge that comes takes its share, one a second, and no other begins anything; one that
// goes leaves its share to the others, at once, and nothing else moves; one that was only
// started anew finds all in its place.
func TestMoves_OnlyTheShareOfWhoComesOrGoes(t *testing.T) {
	for _, copies := range []int{1, 2} {
		w := newPlaceWorld(t, rand.New(rand.NewPCG(7, 7)), 5, 24, copies, false)
		for _, b := range w.bridges {
			b.has = w.servers
		}
		for _, b := range w.bridges[:4] {
			w.start(b, 1)
		}
		w.settled(false)
		last := w.bridges[4]
		w.start(last, 1)
		w.settled(false)
		share := len(last.reads)
		if n := w.begun(last); n != share || len(w.begins) != share {
			t.Fatalf("its share are %d, it began %d, all began %d", share, n, len(w.begins))
		}
		w.oneASecond(last)
		w.stop(last)
		w.pass(3 * time.Second)
		if w.copies > 1 && len(w.moves) > 0 {
			t.Fatalf("nobody waits for who is started anew: %v", w.moves)
		}
		w.start(last, 1)
		w.settled(false)
		if n := w.begun(last); w.copies > 1 && n != len(w.begins) {
			t.Fatalf("%d of %d were begun by who was started anew: %v", n, len(w.begins), w.moves)
		}
		share = len(last.reads)
		w.stop(last)
		w.settled(false)
		if len(w.begins) != share {
			t.Fatalf("%d were begun of a share of %d: %v", len(w.begins), share, w.moves)
		}
	}
}

// oneASecond wants a bridge that came to have begun nothing before it was heard for long,
// and then one server a second.
func (w *placeWorld) oneASecond(b *placed) {
	w.t.Helper()
	next := moveAfter
	for _, m := range w.moves {
		if m.bridge == b.name && m.Kind == Begin {
			if m.at < next {
				w.t.Fatalf("%v is before %v: %v", m, next, w.moves)
			}
			next = m.at + movePause
		}
	}
}

// claimsFor is for how long a leader of the model claims anew: shorter than others take it
// for stuck.
const claimsFor = 5 * time.Second

// claimAnew has a leader claim anew what it leads.
func (w *placeWorld) claimAnew(server string, hindered bool) {
	for _, b := range w.bridges {
		if s := b.reads[server]; b.r != nil && s != nil && s.term > 0 {
			s.again, s.hindered = w.now.Add(claimsFor), hindered
		}
	}
}

// A leader that claims anew what it led, be it kept from it for a while or not, is taken for
// none that reads nothing: nobody begins to read in its place, and no session ends.
func TestMoves_NoneForWhoClaimsAnew(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 2))
			w := newPlaceWorld(t, rng, 2+rng.IntN(4), 1+rng.IntN(8), 1+rng.IntN(3), false)
			for _, b := range w.bridges {
				w.start(b, 1+rng.IntN(3))
			}
			w.settled(false)
			for range 10 {
				w.shake()
				for range 1 + rng.IntN(4) {
					w.claimAnew(w.servers[rng.IntN(len(w.servers))], rng.IntN(2) == 0)
					w.pass(w.ms(3000).Sub(w.now))
				}
				w.pass(2 * claimsFor)
				for _, m := range w.moves {
					if m.Kind != GiveLead {
						t.Fatal(m)
					}
				}
			}
			w.settled(false)
		})
	}
}
