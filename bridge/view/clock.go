package view

import "time"

// setBack hears that the caller's clock was set back, to now: pasts end now, and not when that
// will be again.
func (m *Model) setBack(now time.Time) {
	if !m.lost.since.IsZero() {
		m.lost.since = now.Add(-now.Sub(m.lost.since))
	}
	m.lost.setBack(now, time.Minute)
	for _, s := range m.servers {
		s.inPast.setBack(now, ringStep)
		s.outPast.setBack(now, ringStep)
		s.p95Past.setBack(now, ringStep)
		for _, past := range s.queues {
			past.setBack(now, queueStep)
		}
	}
}

// setBack has the newest step be that of now, if that is before it.
func (r *ring) setBack(now time.Time, step time.Duration) {
	n := now.UnixNano() / int64(step)
	if n >= r.step || n < ringSize {
		return
	}
	moved := ring{step: n}
	for i := int64(0); r.points != nil && i < ringSize; i++ {
		*moved.point(n - i) = *r.point(r.step - i)
	}
	*r = moved
}
