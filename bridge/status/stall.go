package status

import (
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/clock"
)

// stall is whether a server's events move, as the last interval showed.
type stall struct {
	at        time.Time // of the last Tick
	waits     bool      // something waited to be stored then
	published uint64    // by then
	since     time.Time // nothing of what waits was stored since; zero: it moves, or nothing waits
}

// stands notes at a Tick whether anything was stored since the one before, and tells it in m.
// An outbox may take hours to fill with what comes to it, and is not over 80 % until then. It
// is for the status goroutine.
func (s *Server) stands(m *buffersMsg, now time.Time) {
	before := s.stall.Load()
	next := &stall{at: now, waits: m.Queued+m.InFlight > 0 && (s.shared == nil || s.shared.Speaks()), published: m.Published}
	if next.waits && before.waits && next.published == before.published {
		next.since = before.since
		if next.since.IsZero() {
			next.since = before.at
		}
	}
	s.stall.Store(next)
	m.StalledS = next.seconds(now)
}

// seconds is for how long nothing of what waits was stored at now; 0 if it moves.
func (s *stall) seconds(now time.Time) float64 {
	if s.since.IsZero() {
		return 0
	}
	return float64(clock.Elapsed(s.since, now).Milliseconds()) / 1000
}
