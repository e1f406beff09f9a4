package status

import (
	"maps"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/clock"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/outbox"
	"github.com/ami-nats-bridge/ami-nats-bridge/correlation"
)

// gapCounts counts the Gaps that were told, by reason.
type gapCounts struct {
	mu sync.Mutex
	by map[string]uint64 // nil until one was
}

func (c *gapCounts) add(reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.by == nil {
		c.by = make(map[string]uint64)
	}
	c.by[reason]++
}

// Gaps returns how many Gaps were told, by those reasons that there were. It may be called
// from any goroutine.
func (s *Server) Gaps() map[string]uint64 {
	s.gaps.mu.Lock()
	defer s.gaps.mu.Unlock()
	return maps.Clone(s.gaps.by)
}

// PublishGap publishes, as a status, a Gap that is being put into the stream.
func (s *Server) PublishGap(g outbox.Gap) {
	s.gaps.add(g.Reason)
	s.publish(s.subjects.Status("gap", g.Reason), s.gapStatus(g), triggerChange)
	fields := []zap.Field{
		zap.String("reason", g.Reason), zap.Time("from", time.Unix(0, g.From)), zap.Time("to", time.Unix(0, g.To)),
	}
	if !g.Unknown {
		fields = append(fields, zap.Uint64("count", g.Lost))
	}
	if g.Restarted != "" {
		fields = append(fields, zap.String("restarted", g.Restarted))
	}
	s.log.Warn("gap in the events", fields...)
}

// logDrops logs what was dropped, as a sum has it; the Gap comes when it is its
// turn in the stream. It is for the status goroutine.
func (s *Server) logDrops(dropped map[string]uint64, now time.Time) {
	for reason, n := range dropped {
		sum := s.logged[reason]
		if sum == nil && n == 0 {
			continue // none was, at most servers ever
		}
		if sum == nil {
			sum = &clock.Sum{At: s.looked}
			s.logged[reason] = sum
		}
		if lost, since := sum.Due(n, now); lost > 0 {
			s.log.Warn("events dropped", zap.String("reason", reason), zap.Uint64("count", lost), zap.Time("since", since))
		}
	}
	s.looked = now
}

// logStrays logs how many events came behind a reply that had announced none. It
// is for the status goroutine.
func (s *Server) logStrays(now time.Time, calls correlation.Stats) {
	if n, _ := s.loggedStrays.Due(calls.Strays, now); n > 0 {
		s.log.Warn("events behind a reply that announced none", zap.String("action", calls.Stray), zap.Uint64("count", n))
	}
}
