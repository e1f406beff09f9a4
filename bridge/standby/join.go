package standby

import "time"

// confirmations is how many Marks must fit, behind the one that joined, until a place is
// believed.
const confirmations = 3

// join looks for the place of the newest Mark, or else of the oldest that has none:
// the session may be behind.
func (f *Follower) join(now time.Time) {
	if len(f.marks) == 0 {
		return
	}
	for _, i := range [...]int{len(f.marks) - 1, 0} {
		m := f.marks[i]
		if !m.Wide {
			continue
		}
		if at, n := f.sums.find(m.Window); n == 1 {
			f.align(at, m.N, m.Sum)
			f.proof.begin(at, now)
			f.since = now
			f.marks = append(f.marks[:0], f.marks[i+1:]...)
			return
		}
	}
	if len(f.marks) == maxMarks {
		f.marks = append(f.marks[:0], f.marks[1:]...)
	}
}

// align has event n of the epoch, up to which the leader's sum is sum, be at position at.
func (f *Follower) align(at, n, sum uint64) {
	f.aligned, f.synced, f.misses = true, false, 0
	f.shift, f.diff = at-n, *f.sums.at(at)-sum
}

// proof is what speaks for a place. That sums are equal is not enough: a place that is
// off by one has the same sums wherever the event that it misses is equal to the one
// that it has too many, and of some events there are many. So each other place nearby
// must be ruled out by two Marks that fit here: had it been the true one, they would not
// both.
type proof struct {
	begun  time.Time
	fits   []uint64 // positions, in order
	ruled  []uint64 // bits, of places -near to near
	count  int      // Marks that fitted behind the one that joined
	misses int
}

const (
	// near is how many events away a place must be ruled out. One that the session does
	// not reach counts as ruled out after nearPatience: no session is behind for that
	// long and reads on.
	near         = 8192
	nearPatience = 10 * time.Second
	// maxFits bounds the positions that are compared; the oldest go.
	maxFits = 16
)

// begin takes in that the Window up to at fits, and so its two ends.
func (e *proof) begin(at uint64, now time.Time) {
	*e = proof{begun: now, fits: append(make([]uint64, 0, maxFits), at-Window, at), ruled: make([]uint64, 2*near/64+1)}
}

func (e *proof) fit(p uint64) {
	e.count++
	if p-e.fits[len(e.fits)-1] < Window/4 {
		return // those that are kept reach back over a Window
	}
	if len(e.fits) == maxFits {
		e.fits = append(e.fits[:0], e.fits[1:]...)
	}
	e.fits = append(e.fits, p)
}

// fails reports whether Marks speak against the place. Where the order differs, some do
// of the true one.
func (e *proof) fails() bool { return e.misses > e.count+confirmations }

// holds reports whether the place is proven.
func (e *proof) holds(s *sums, now time.Time) bool {
	patient := now.Sub(e.begun) >= nearPatience
	if e.count < confirmations || !patient && s.last-e.fits[0] < near {
		return false
	}
	open := false
	for j := uint64(1); j <= near; j++ {
		for _, shift := range [...]uint64{j, -j} {
			ruled, known := e.rule(s, shift)
			if !ruled && known {
				return false
			}
			open = open || !ruled
		}
	}
	return !open || patient
}

// rule reports whether the place that is shift further on, modulo 2^64, is ruled out: the
// events from here to there are others at one Mark that fits than at the next. known says
// whether that much of the session is.
func (e *proof) rule(s *sums, shift uint64) (ruled, known bool) {
	word, bit := &e.ruled[(shift+near)/64], uint64(1)<<((shift+near)%64)
	if *word&bit != 0 {
		return true, true
	}
	for i := 1; i < len(e.fits); i++ {
		a, b := e.fits[i-1], e.fits[i]
		if !s.has(a) || !s.has(b) || !s.has(a+shift) || !s.has(b+shift) {
			continue
		}
		if known = true; *s.at(a + shift)-*s.at(a) != *s.at(b + shift)-*s.at(b) {
			*word |= bit
			return true, true
		}
	}
	return false, known
}
