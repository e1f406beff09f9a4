package bridge

import (
	"fmt"

	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/actions"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/ha"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/ingest"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/subject"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/outbox"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/standby"
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
	target   *actions.Target
	shared   *ha.Handle // nil unless several bridges share it
}

// newServer allocates one server of b.
func (b *Bridge) newServer(cfg config.ServerConfig) *server {
	log := b.log.With(zap.String("server", cfg.Name))
	subjects := subject.New(b.cfg.SubjectPrefix, cfg.Name)
	box := outbox.New(int(cfg.OutboxBytes), subjects.Gap(), b.budget, b.status.Notify)
	s := &server{
		cfg: cfg, subjects: subjects, outbox: box,
		ingest: ingest.New(&cfg, subjects, box, b.scheduler, b.cfg.Delivery != config.DeliverCore, bool(b.cfg.HA), log),
		status: status.NewServer(b.cfg.Node, &cfg, subjects, box, b.status, log),
	}
	if b.ha != nil {
		s.shared = b.share(s, len(b.servers))
	}
	s.link = amiconn.NewLink(cfg.Config, amiconn.Deps{
		Node: b.cfg.Node, Logger: b.deps.Logger, Dial: b.deps.Dial, Gate: b.gate.Acquire, Learn: b.learnOne,
		ReplyBytes: replyBytes, HeldBytes: heldBytes,
		Hooks: amiconn.Hooks{
			Event: s.ingest.OnEvent, Corrupt: s.ingest.OnCorrupt, Clock: s.onClock,
			State: s.onState, Breaker: s.status.OnBreaker,
		},
	})
	s.status.Follow(s.link.Status().Sessions)
	s.target = actions.NewTarget(&b.cfg, &cfg, s.link, s.pressure)
	if s.shared != nil {
		s.status.Share(s.shared.Leads)
		s.target.Share(s.shared.Leads)
	}
	return s
}

// OnSession hears that a session has changed.
func (s *server) onState(c amiconn.Change) {
	s.status.OnSession(c)
	if c.Role != amiconn.RoleActions {
		s.ingest.OnSession(c)
		if s.shared != nil && (c.To == amiconn.StateUp || c.Session != "") {
			s.shared.Session(c.To == amiconn.StateUp)
		}
	}
}

// onClock hears that a Ping was answered.
func (s *server) onClock(c amiconn.Clock) {
	s.ingest.OnClock(c)
	if s.shared != nil {
		s.shared.Pong(c.Asked)
	}
}

// share has s, the server of that number, be shared with other bridges.
func (b *Bridge) share(s *server, number int) *ha.Handle {
	return b.ha.Add(ha.Server{
		Name: s.cfg.Name, Outbox: s.outbox, Events: s.subjects.All(), Terms: s.subjects.Term(),
		Most: int(s.cfg.OutboxBytes) / outbox.EntryBytes, Filters: filtersOf(&s.cfg),
		Ready:  func() { b.scheduler.Ready(number) },
		Forget: func() { b.publisher.Forget(number) },
		Ping:   func() { s.link.Ping() },
		Led:    func(leads bool) { b.led(s, leads) },
	})
}

// led hears whether this bridge leads s, which others share.
func (b *Bridge) led(s *server, leads bool) {
	if !leads {
		s.status.Withdraw()
	}
	if err := b.actions.Lead(s.cfg.Name, leads); err != nil {
		b.log.Error("requests are not taken", zap.String("server", s.cfg.Name), zap.Error(err))
	}
}

// filtersOf is the hash of all that decides which events of a server count, and how they
// are written.
func filtersOf(cfg *config.ServerConfig) uint64 {
	return standby.Hash(fmt.Append(nil, cfg.EventsAllow, cfg.EventsDeny, cfg.Events, cfg.MaxFrameBytes, cfg.Charset))
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
