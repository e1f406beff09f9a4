package standby

import "time"

// confirmations is how many Marks must fit, behind the one that joined, until a place is
// believed.
const confirmations = 3

// join looks for the place of the oldest Mark that has none, or else of the newest, which is
// m. The session may be behind, and has read the event of the oldest sooner: a place that is
// not read yet cannot be found, and so not show that another one is not the only one. Where
// the bounds leave one place, its Mark is one that fits.
func (f *Follower) join(m timedMark) (fitted bool, cut timedMark) {
	switch {
	case f.bounds.contradict():
		f.lose(Differs)
	case f.aligned && !f.bounds.admits(f.shift):
		f.giveUp()
	}
	shift, exact := f.bounds.exact()
	switch at := m.N + shift; {
	case f.aligned:
		return exact && f.sums.has(at) && *f.sums.at(at)-m.Sum == f.diff, m
	case exact:
		return f.joinAt(m, shift)
	}
	f.search(m.at)
	return false, timedMark{}
}

// joinAt has the first Mark that the session has come to be at the one place that the bounds
// leave, unless its events are others.
func (f *Follower) joinAt(m timedMark, shift uint64) (fitted bool, cut timedMark) {
	f.stuck.found = ""
	for i, m := range append(f.marks, m) {
		at := m.N + shift
		if !f.sums.has(at) {
			if int64(at) > int64(f.sums.last) {
				f.stuck.found = Behind
			}
			continue
		}
		if f.sums.has(at-m.Width) && *f.sums.at(at)-*f.sums.at(at - m.Width) != m.Window {
			f.stuck.found = Unfound
			continue
		}
		f.align(at, m.N, m.Sum)
		f.proof.begin(m.Mark, at, m.at)
		f.since = m.at
		f.marks = append(f.marks[:0], f.marks[min(i+1, len(f.marks)):]...)
		return true, m
	}
	f.makeRoom()
	return false, timedMark{}
}

// search looks for the place by what the events say.
func (f *Follower) search(now time.Time) {
	if len(f.marks) == 0 {
		return
	}
	f.stuck.found = Few
	for _, i := range [...]int{0, len(f.marks) - 1} {
		m := f.marks[i]
		if m.Width == 0 {
			continue
		}
		at, n := f.sums.find(m.Window, m.Width, f.bounds.around(m.N))
		f.stuck.found = [...]Reason{Unfound, "", Alike}[n]
		if n == 1 {
			f.align(at, m.N, m.Sum)
			f.proof.begin(m.Mark, at, now)
			f.since = now
			f.marks = append(f.marks[:0], f.marks[i+1:]...)
			return
		}
	}
	f.makeRoom()
}

// makeRoom forgets the oldest Mark when there is no room for another.
func (f *Follower) makeRoom() {
	if len(f.marks) == maxMarks {
		f.marks = append(f.marks[:0], f.marks[1:]...)
	}
}

// proven reports whether the place at which event n fits is the true one. Where sessions
// differed their events have to be alike for a while, and not only as many.
func (f *Follower) proven(n uint64, now time.Time) bool {
	if shift, ok := f.bounds.exact(); ok {
		return shift == f.shift && (f.reason != Differs || n-f.proof.from >= Window)
	}
	f.stuck.found = Alike
	return f.proof.holds(f, now)
}

// align has event n of the epoch, up to which the leader's sum is sum, be at position at.
func (f *Follower) align(at, n, sum uint64) {
	f.aligned, f.synced, f.misses = true, false, 0
	f.shift, f.diff = at-n, *f.sums.at(at)-sum
}

// proof is what speaks for a place. That sums are equal is not enough: a place that is
// off by one has the same sums wherever the event that it misses is equal to the one
// that it has too many, and of some events there are many. So it is held against each
// other place nearby: of the points at which the leader's sum is known, those that fit
// here must be more by margin than those that agree on any sum there. Where the sessions
// have one order all points agree on the true place; where each has its own, most do.
type proof struct {
	begun  time.Time
	from   uint64   // the event of the first Mark
	points []point  // the last ones, at which this place was compared
	ruled  []uint64 // bits, of places -near to near that are ruled out
	count  int      // Marks that fitted behind the one that joined
	misses int
}

// point is a place in the session and the leader's sum there, if the place is true.
type point struct{ at, sum uint64 }

const (
	// near is how many events away a place must be ruled out. One that the session does
	// not reach counts as ruled out after nearPatience: no session is behind for that
	// long and reads on.
	near         = 8192
	nearPatience = 10 * time.Second
	// maxPoints bounds the points that are compared; the oldest go.
	maxPoints = 64
	// margin is by how many points a place is ahead of each other one. With up to half of
	// all events alike and a third out of place one of 1,157 joins was at a place that was
	// not true with a margin of 2, and none of 6,000 with this.
	margin = 6
	// maxDoubts is after how many Marks a place is given up that is not proven: another
	// may be, and the next Window finds it.
	maxDoubts = 64
)

// begin takes in the place's first Mark, whose Window fits.
func (e *proof) begin(m Mark, at uint64, now time.Time) {
	*e = proof{begun: now, from: m.N, points: make([]point, 0, maxPoints), ruled: make([]uint64, 2*near/64+1)}
	e.add(m, at)
}

// add adds the ends of the Window of a Mark that is at a place.
func (e *proof) add(m Mark, at uint64) {
	if len(e.points)+2 > maxPoints {
		e.points = append(e.points[:0], e.points[2:]...)
	}
	if m.Width > 0 {
		e.points = append(e.points, point{at - m.Width, m.Sum - m.Window})
	}
	e.points = append(e.points, point{at, m.Sum})
}

// fails reports whether Marks speak against the place, of which where the order differs
// some do of the true one, or have not spoken for it in so long that another may be it.
func (e *proof) fails() bool { return e.misses > e.count+confirmations || e.count > maxDoubts }

// holds reports whether the place that f is at is proven.
func (e *proof) holds(f *Follower, now time.Time) bool {
	s := &f.sums
	patient := now.Sub(e.begun) >= nearPatience
	if e.count < confirmations || len(e.points) <= margin || !patient && s.last-e.points[0].at < near {
		return false
	}
	open := false
	for j := uint64(1); j <= near; j++ {
		for _, shift := range [...]uint64{j, -j} {
			if !f.bounds.admits(f.shift + shift) {
				continue
			}
			ruled, known := e.rule(s, f.diff, shift)
			if !ruled && known {
				return false
			}
			open = open || !ruled
		}
	}
	return !open || patient
}

// rule reports whether the place that is shift further on, modulo 2^64, is ruled out. known
// says whether enough of the session is.
func (e *proof) rule(s *sums, diff, shift uint64) (ruled, known bool) {
	word, bit := &e.ruled[(shift+near)/64], uint64(1)<<((shift+near)%64)
	if *word&bit != 0 {
		return true, true
	}
	if oldest, newest := e.points[0], e.points[len(e.points)-1]; !s.has(oldest.at+shift) && !s.has(newest.at+shift) {
		return false, false
	}
	var there [maxPoints]uint64
	n, fit := 0, 0
	for _, p := range e.points {
		if !s.has(p.at) || !s.has(p.at+shift) {
			continue
		}
		there[n] = *s.at(p.at + shift) - p.sum
		n++
		if *s.at(p.at)-p.sum == diff {
			fit++
		}
	}
	if fit <= margin {
		return false, n > 2*margin // more points may speak for it
	}
	if agree(there[:n], fit-margin) {
		return false, true
	}
	*word |= bit
	return true, true
}

// agree reports whether more than most of all are equal.
func agree(all []uint64, most int) bool {
	for i, v := range all {
		n := 0
		for _, other := range all[i:] {
			if other == v {
				n++
			}
		}
		if n > most {
			return true
		}
	}
	return false
}
