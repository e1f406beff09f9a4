package clock

import "time"

const (
	// firstSum is how long the log says nothing more of a count once it has reported
	// it, longestSum how long at the most.
	firstSum   = 10 * time.Second
	longestSum = 10 * time.Minute
)

// Sum says when the log reports that a count has grown: at once, then after waits
// that double while it grows on. So an hour of losses is a dozen lines, that have
// them all. It is the status goroutine's own.
type Sum struct {
	logged uint64
	At     time.Time // when it was logged, or had not grown
	next   time.Time // nothing is logged before
	wait   time.Duration
}

// Due returns by how much total has grown and since when, if that is to be logged
// now; else 0.
func (s *Sum) Due(total uint64, now time.Time) (n uint64, since time.Time) {
	n, since = total-s.logged, s.At
	switch {
	case n == 0:
		s.At = now
		if !now.Before(s.next) {
			s.wait = 0
		}
		return 0, since
	case now.Before(s.next):
		return 0, since
	}
	s.wait = min(max(2*s.wait, firstSum), longestSum)
	s.logged, s.At, s.next = total, now, now.Add(s.wait)
	return n, since
}

// End has what is not logged yet be logged the next time.
func (s *Sum) End() { s.next = time.Time{} }
