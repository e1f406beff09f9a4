package bridge

import (
	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/actions"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/ingest"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/subject"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/outbox"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/state"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/status"
)

// server is one Asterisk as the bridge sees it: its Link, and what is made of its
// events, of its states and of the Actions for it.
type server struct {
	cfg      config.ServerConfig
	link     *amiconn.Link
	subjects *subject.Subjects
	outbox   *outbox.Outbox // of its events
	ingest   *ingest.Source
	status   *status.Server
	state    *state.Server // nil: nothing of it is kept
	target   *actions.Target
}

// newServer allocates one server of b.
func (b *Bridge) newServer(cfg config.ServerConfig) *server {
	log := b.log.With(zap.String("server", cfg.Name))
	subjects := subject.New(b.cfg.SubjectPrefix, cfg.Name)
	box := outbox.New(int(cfg.OutboxBytes), subjects.Gap(), b.budget, b.status.Notify)
	s := &server{
		cfg: cfg, subjects: subjects, outbox: box,
		ingest: ingest.New(&cfg, subjects, box, b.scheduler, b.cfg.Delivery != config.DeliverCore, log),
		status: status.NewServer(b.cfg.Node, &cfg, subjects, box, b.status, log),
		state:  b.state.Add(&cfg),
	}
	s.link = amiconn.NewLink(cfg.Config, amiconn.Deps{
		Node: b.cfg.Node, Logger: b.deps.Logger, Dial: b.deps.Dial, Gate: b.gate.Acquire, Learn: b.learnOne,
		ReplyBytes: replyBytes, HeldBytes: heldBytes,
		Hooks: amiconn.Hooks{
			Event: s.onEvent, Corrupt: s.ingest.OnCorrupt, Clock: s.ingest.OnClock,
			State: s.onState, Breaker: s.status.OnBreaker,
		},
	})
	s.status.Follow(s.link.Status().Sessions)
	s.state.Ask(s.link)
	s.target = actions.NewTarget(&b.cfg, &cfg, s.link, s.pressure, s.state.Acted)
	return s
}

// onEvent has an event published and reduced, both on the reader's goroutine. Neither
// takes note of what the other makes of it: filters and a full outbox do not change what
// is up.
func (s *server) onEvent(e amiconn.Event) {
	s.ingest.OnEvent(e)
	s.state.OnEvent(e)
}

// OnSession hears that a session has changed.
func (s *server) onState(c amiconn.Change) {
	s.status.OnSession(c)
	if c.Role != amiconn.RoleActions {
		s.ingest.OnSession(c)
	}
	s.state.OnSession(c)
}

// pressure hears that the buffers of Actions may have filled or drained.
func (s *server) pressure(refused bool) {
	write, pending := s.link.Pressure()
	s.status.Pressure(write, pending, refused)
}

const (
	// replyBytes is the body of one reply: what NATS takes by default (1 MiB)
	// less room for what the bridge adds.
	replyBytes = 1<<20 - 8<<10
	// heldBytes bounds the bodies of one server's replies together.
	heldBytes = 64 << 20
)
