package status

import (
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/clock"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/subject"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/outbox"
)

// Server publishes the state of one server: of its sessions, its breaker, its buffers
// and its Gaps. Its hooks, OnSession, OnBreaker, PublishGap and Pressure, may be called
// from any goroutine and do not wait; the rest is for the status goroutine.
type Server struct {
	name, node string
	capacities atomic.Pointer[capacities]
	words      atomic.Pointer[words]
	actions    atomic.Pointer[func(time.Time) ActionsReport] // nil: nobody counts them
	subjects   *subject.Subjects
	outbox     *outbox.Outbox
	publisher  *Publisher
	log        *zap.Logger

	shared *Shared     // nil: no other bridge shares the server
	spoke  atomic.Bool // it speaks for the server, and has said who leads
	due    atomic.Bool // all is to be published at the next Look
	noted  atomic.Bool // there is something to Look at
	busy   atomic.Bool // an Action buffer is over 80 %
	states states
	gaps   gapCounts
	levels atomic.Pointer[levels] // that were told last; the status goroutine sets them
	rated  atomic.Pointer[rated]  // likewise
	stall  atomic.Pointer[stall]  // likewise
	anew   atomic.Bool            // the Link is another one, whose counts begin at zero

	// What was logged.
	logged       map[string]*clock.Sum // events dropped, by reason, of those of which any were
	looked       time.Time             // when it was last looked whether any were
	loggedStrays clock.Sum
}

// NewServer returns the Server of cfg, whose events go through box and whose state
// publisher publishes.
func NewServer(node string, cfg *config.ServerConfig, subjects *subject.Subjects, box *outbox.Outbox, publisher *Publisher, log *zap.Logger) *Server {
	s := &Server{name: cfg.Name, node: node, subjects: subjects, outbox: box, publisher: publisher, log: log, logged: make(map[string]*clock.Sum)}
	s.states.began = time.Now()
	s.looked = s.states.began
	s.levels.Store(&levels{})
	s.rated.Store(&rated{})
	s.stall.Store(&stall{})
	s.Bound(cfg)
	return s
}

// Notify has Look called, and look at this server. It may be called from any goroutine and
// does not wait.
func (s *Server) Notify() {
	s.noted.Store(true)
	s.publisher.Notify()
}

// publish publishes a state of the server, if that is this bridge's to do.
func (s *Server) publish(key subject.Key, state any, trigger string) {
	if s.speaks() {
		s.publisher.publish(key, state, s.shared, trigger)
	}
}

func (s *Server) speaks() bool { return s.shared == nil || s.spoke.Load() && s.shared.Speaks() }

// words are what a server is configured to be, for those who put in words how it is.
type words struct {
	addr                          string
	loginTimeoutMS, readTimeoutMS int64
}

// Bound is told what bounds the buffers have from now on, and what else is told of the
// configuration. It may be called from any
// goroutine.
func (s *Server) Bound(cfg *config.ServerConfig) {
	s.capacities.Store(&capacities{outbox: int64(cfg.OutboxBytes), write: int64(cfg.WriteCapacity()), pending: int64(cfg.MaxPending)})
	s.words.Store(&words{cfg.Addr, cfg.LoginTimeout.Milliseconds(), cfg.ReadTimeout.Milliseconds()})
}

// Follow is told of the sessions that the server has by its Link, before any of them
// changes, and with another Link again. Of a session of the same name what is known stays.
// It may be called from any goroutine.
func (s *Server) Follow(cfg *config.ServerConfig, sessions []amiconn.SessionStatus) {
	s.Bound(cfg)
	s.anew.Store(true)
	s.states.follow(sessions)
}

// begin has the counts of another Link told from zero. It is for the status goroutine.
func (s *Server) begin() {
	if s.anew.Swap(false) {
		s.loggedStrays = clock.Sum{}
		now := *s.levels.Load()
		now.writeRefused, now.pendingRefused = 0, 0
		s.levels.Store(&now)
	}
}

// EndSums has the next Tick log all counts of what was dropped that no line has told
// of yet, as the bridge does before it ends.
func (s *Server) EndSums() {
	s.loggedStrays.End()
	for _, sum := range s.logged {
		sum.End()
	}
}
