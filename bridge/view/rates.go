package view

import (
	"math"
	"time"
)

// counter makes a rate of a count that only grows while one process lives.
type counter struct {
	last   uint64
	lastAt time.Time
	base   uint64 // what the rate is counted from: two words may be close together
	baseAt time.Time
	rate   float64 // a second
	seen   bool    // rate is known
}

// add notes that the count was n at the time at, and returns how much came to it since
// the word before; ok is false if there was none of the same process.
func (c *counter) add(n uint64, at time.Time) (more uint64, ok bool) {
	if c.lastAt.IsZero() || n < c.last || at.Before(c.lastAt) {
		*c = counter{last: n, lastAt: at, base: n, baseAt: at}
		return 0, false
	}
	more = n - c.last
	c.last, c.lastAt = n, at
	if d := at.Sub(c.baseAt); d >= shortestRate {
		c.rate, c.seen = float64(n-c.base)/d.Seconds(), true
		c.base, c.baseAt = n, at
	}
	return more, true
}

// growth is the moving average, over rateMemory, of how fast a number of bytes grows.
// What was before the first word has no weight in it, so that it is right from the second
// on.
type growth struct {
	bytes       int64
	at          time.Time
	sum, weight float64
	average     float64 // bytes a second; 0 before the second word
}

func (g *growth) add(bytes int64, at time.Time) {
	d := at.Sub(g.at)
	if g.at.IsZero() || d < 0 {
		*g = growth{bytes: bytes, at: at}
		return
	}
	if d < shortestRate {
		return // the next word has it
	}
	decay := math.Exp(-d.Seconds() / rateMemory.Seconds())
	g.sum = g.sum*decay + float64(bytes-g.bytes)/d.Seconds()*(1-decay)
	g.weight = g.weight*decay + (1 - decay)
	g.average = g.sum / g.weight
	g.bytes, g.at = bytes, at
}

// left is how long free bytes last at that rate; ok is false if they are not filling
// or last for longer than anybody asks.
func left(free int64, rate float64) (d time.Duration, ok bool) {
	if !(rate > 0) {
		return 0, false
	}
	seconds := float64(max(free, 0)) / rate
	if !(seconds < forecastLimit.Seconds()) {
		return 0, false
	}
	return time.Duration(seconds * float64(time.Second)), true
}

// ring has what came in each of the last ringSize steps.
type ring struct {
	points *[ringSize]uint32 // of less than 2^32; nil: nothing came, as with most of a thousand servers at night
	step   int64             // number of the newest
}

func (r *ring) advance(at time.Time, step time.Duration) {
	if at.IsZero() {
		return
	}
	n := at.UnixNano() / int64(step)
	for ahead := min(n-r.step, ringSize); ahead > 0 && r.points != nil; ahead-- {
		r.points[(n-ahead+1)%ringSize] = 0
	}
	r.step = max(r.step, n)
}

// add adds n to the step of at, if that is not too old.
func (r *ring) add(at time.Time, step time.Duration, n uint64) {
	r.advance(at, step)
	if p := at.UnixNano() / int64(step); p > r.step-ringSize && p >= 0 && n > 0 {
		point := r.point(p)
		*point += uint32(min(n, uint64(math.MaxUint32-*point)))
	}
}

// raise lifts the step of at to n.
func (r *ring) raise(at time.Time, step time.Duration, n uint64) {
	r.advance(at, step)
	if n > 0 {
		p := r.point(r.step)
		*p = max(*p, uint32(min(n, math.MaxUint32)))
	}
}

// point is that of the step of that number.
func (r *ring) point(step int64) *uint32 {
	if r.points == nil {
		r.points = new([ringSize]uint32)
	}
	return &r.points[step%ringSize]
}

// all returns the points that end with the step of now, oldest first.
func (r *ring) all(now time.Time, step time.Duration) []uint64 {
	n := now.UnixNano() / int64(step)
	points := make([]uint64, ringSize)
	for i := 0; r.points != nil && i < ringSize; i++ {
		if p := n - ringSize + 1 + int64(i); p >= 0 && p <= r.step && p > r.step-ringSize {
			points[i] = uint64(r.points[p%ringSize])
		}
	}
	return points
}

// lostRing is how many events were lost in each minute of the last hour.
type lostRing struct {
	ring
	since   time.Time // what was before is not known
	unknown time.Time // the last that nobody could count
}

func (l *lostRing) advance(now time.Time) {
	if l.since.IsZero() || now.Before(l.since) {
		l.since = now
	}
	l.ring.advance(now, time.Minute)
}

func (l *lostRing) add(at time.Time, n uint64) { l.ring.add(at, time.Minute, n) }

func (l *lostRing) sum(now time.Time) (sum uint64) {
	for _, n := range l.all(now, time.Minute) {
		sum += n
	}
	return sum
}
