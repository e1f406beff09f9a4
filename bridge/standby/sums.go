package standby

import "github.com/cespare/xxhash/v2"

// Hash returns the hash of an event: XXH64 of its payload, as it is published. Every
// version of the bridge that understands Version computes the same.
func Hash(event []byte) uint64 { return xxhash.Sum64(event) }

const (
	// Window is how many events in a row find a place in another session, at least. 32
	// were unique in every session looked at, 16 nearly.
	Window = 64
	// JoinSpan is in how many of its last events a standby looks for the leader.
	JoinSpan = 1 << 17

	minSums  = 2 * Window
	keptSums = 4096 // a larger ring is given back when an eighth of it is in use
)

// sums holds the sums, modulo 2^64, of a session's hashes up to each of its last
// positions. Position 0 is before the first event. It grows as needed up to most
// positions; then the oldest are forgotten.
type sums struct {
	ring  []uint64 // by position; its length is a power of two
	first uint64   // the oldest position that is kept
	last  uint64
	most  uint64
}

// newSums begins at a position with the sum that it has.
func newSums(at, sum uint64, most int) sums {
	s := sums{ring: make([]uint64, minSums), first: at, last: at, most: uint64(max(most, minSums))}
	*s.at(at) = sum
	return s
}

// at returns the sum up to position p, which must be kept.
func (s *sums) at(p uint64) *uint64 { return &s.ring[p&uint64(len(s.ring)-1)] }

// has reports whether the sum up to p is kept.
func (s *sums) has(p uint64) bool { return p-s.first <= s.last-s.first }

// hash returns the hash of the event at p; p-1 must be kept as well.
func (s *sums) hash(p uint64) uint64 { return *s.at(p) - *s.at(p - 1) }

func (s *sums) push(h uint64) {
	switch kept := s.last - s.first + 1; {
	case kept >= s.most:
		s.first++
	case kept == uint64(len(s.ring)):
		s.resize(2 * len(s.ring))
	}
	sum := *s.at(s.last) + h
	s.last++
	*s.at(s.last) = sum
}

// forget gives up what is before p.
func (s *sums) forget(p uint64) {
	if !s.has(p) {
		return
	}
	s.first = p
	if n := len(s.ring); n > keptSums && s.last-s.first < uint64(n/8) {
		s.resize(n / 4)
	}
}

func (s *sums) resize(n int) {
	old := *s
	s.ring = make([]uint64, n)
	for p := s.first; p <= s.last; p++ {
		*s.at(p) = *old.at(p)
	}
}

// span is from which position to which one is looked for.
type span struct{ first, last uint64 }

// everywhere is the span of all positions.
var everywhere = span{0, uint64(unbounded)}

// find returns the position in the span at which the last width events have the sum, and at
// how many it is so, of which it counts two.
func (s *sums) find(window, width uint64, in span) (at uint64, n int) {
	if s.last-s.first < width {
		return 0, 0
	}
	first := max(in.first, s.first+width, s.last-min(s.last, JoinSpan-1))
	for p := min(in.last, s.last); p >= first && n < 2; p-- {
		if *s.at(p)-*s.at(p - width) == window {
			at = p
			n++
		}
	}
	return at, n
}
