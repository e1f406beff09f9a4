package standby

import "time"

// confirmations is how many Marks must fit, behind the one that joined, until a place is
// believed.
const confirmations = 3

// join looks for the place of the oldest Mark that has none, or else of the newest. The
// session may be behind, and has read the event of the oldest sooner: a place that is not
// read yet cannot be found, and so not show that another one is not the only one.
func (f *Follower) join(now time.Time) {
	if len(f.marks) == 0 {
		return
	}
	for _, i := range [...]int{0, len(f.marks) - 1} {
		m := f.marks[i]
		if m.Width == 0 {
			continue
		}
		if at, n := f.sums.find(m.Window, m.Width); n == 1 {
			f.align(at, m.N, m.Sum)
			f.proof.begin(at-m.Width, at, now)
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
	maxFits = 32
	// maxDoubts is after how many Marks a place is given up that is not proven: another
	// may be, and the next Window finds it.
	maxDoubts = 64
)

// begin takes in that the Window from one place to the other fits, and so its two ends.
func (e *proof) begin(from, to uint64, now time.Time) {
	*e = proof{begun: now, fits: append(make([]uint64, 0, maxFits), from, to), ruled: make([]uint64, 2*near/64+1)}
}

// fit takes in that a Mark fits at p, and at from the beginning of its Window does, if
// that is not p.
func (e *proof) fit(from, p uint64) {
	e.count++
	if p-e.fits[len(e.fits)-1] < Window/4 {
		return // those that are kept reach back over a Window
	}
	if len(e.fits)+2 > maxFits {
		e.fits = append(e.fits[:0], e.fits[2:]...)
	}
	if from != p {
		e.fits = append(e.fits, from)
	}
	e.fits = append(e.fits, p)
}

// fails reports whether Marks speak against the place, of which where the order differs
// some do of the true one, or have not spoken for it in so long that another may be it.
func (e *proof) fails() bool { return e.misses > e.count+confirmations || e.count > maxDoubts }

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
