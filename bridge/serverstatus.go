package bridge

import (
	"sync/atomic"

	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/clock"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/subject"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/outbox"
)

// serverStatus publishes the state of one server.
type serverStatus struct {
	name, node string
	capacities capacities
	subjects   *subject.Subjects
	outbox     *outbox.Outbox
	publisher  *status
	log        *zap.Logger

	busy   atomic.Bool // an Action buffer is over 80 %
	states states
	gaps   gapCounts
	levels levels // the status goroutine's own

	// What the log has told of.
	told       map[string]*clock.Sum // events dropped, by reason
	toldStrays clock.Sum
}

// newServerStatus returns that of a server with these sessions.
func newServerStatus(node string, cfg *config.ServerConfig, subjects *subject.Subjects, box *outbox.Outbox, publisher *status, log *zap.Logger) *serverStatus {
	return &serverStatus{
		name: cfg.Name, node: node, subjects: subjects, outbox: box, publisher: publisher, log: log, gaps: newGapCounts(), told: make(map[string]*clock.Sum),
		capacities: capacities{outbox: int64(cfg.OutboxBytes), write: int64(cfg.WriteCapacity()), pending: int64(cfg.MaxPending)},
	}
}

// follow is told of the sessions that the server has, before any of them changes.
func (s *serverStatus) follow(sessions []amiconn.SessionStatus) {
	for _, session := range sessions {
		s.states.sessions = append(s.states.sessions, amiconn.Change{Name: session.Name, Role: session.Role})
	}
}

// endSums has what the log has not told yet be told the next time.
func (s *serverStatus) endSums() {
	s.toldStrays.End()
	for _, told := range s.told {
		told.End()
	}
}
