package bridge

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/actions"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/delivery"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/ha"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/ingest"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/subject"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/outbox"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/standby"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/state"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/status"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/tap"
)

// server is one Asterisk as the bridge sees it: its Link, and what is made of its
// events, of its states and of the Actions for it.
type server struct {
	cfg      config.ServerConfig // as it was made; what Reload changes since is where it is used
	link     *amiconn.Link
	subjects *subject.Subjects
	outbox   *outbox.Outbox // of its events
	source   *delivery.Source
	ingest   *ingest.Source
	tap      *tap.Tap // for those who look at the events
	status   *status.Server
	state    *state.Server // nil: nothing of it is kept
	target   *actions.Target
	shared   *ha.Handle // nil unless several bridges share it

	reads  atomic.Bool        // its Link is to run; with others that share it, it may rest
	before *server            // whose Link is to end before that runs, or nil; needs servers.changing
	end    context.CancelFunc // has the Link end; nil before it runs
	ended  chan struct{}      // closed once it has
}

// newServer allocates one server of b, cfg of all.
func (b *Bridge) newServer(all *config.Config, cfg *config.ServerConfig) *server {
	log := b.log.WithLazy(zap.String("server", cfg.Name)) // it seldom logs a line
	s := &server{subjects: subject.New(b.cfg.SubjectPrefix, cfg.Name), tap: new(tap.Tap)}
	s.outbox = outbox.New(int(cfg.OutboxBytes), s.subjects.Gap(), b.budget, func() { s.status.Notify() })
	s.status = status.NewServer(b.cfg.Node, cfg, s.subjects, s.outbox, b.status, log)
	source := delivery.Source{Name: cfg.Name, Outbox: s.outbox, Filter: s.subjects.All(), TellGap: s.tellGap}
	if b.ha != nil {
		b.share(s, cfg)
		source.Lead = s.shared.Lead()
		s.status.Share(status.Shared{Speaks: s.shared.Speaks, Sure: s.shared.Sure, Standing: s.shared.Standing})
	}
	s.source = b.publisher.Add(source)
	s.shared.Begin(s.source.Ready, func() { b.publisher.Forget(s.source) })
	s.ingest = ingest.New(cfg, s.subjects, s.outbox, s.source.Ready, b.resumes(), bool(b.cfg.HA), log)
	s.ingest.Tapped(s.tap)
	s.reads.Store(b.ha == nil)
	b.join(s, all, cfg)
	return s
}

// another returns s with another Link, as cfg of all has it. What is on its way to NATS, and what
// is known of the events, stays.
func (b *Bridge) another(s *server, all *config.Config, cfg *config.ServerConfig) *server {
	next := &server{subjects: s.subjects, outbox: s.outbox, source: s.source, ingest: s.ingest, tap: s.tap, status: s.status, shared: s.shared}
	next.outbox.SetLimit(int(cfg.OutboxBytes))
	next.ingest.SetFilter(cfg)
	next.reads.Store(s.reads.Load())
	if next.before = s; s.end == nil { // it has never run
		next.before = s.before
	}
	b.join(next, all, cfg)
	return next
}

// join makes the Link of s and what works by it.
func (b *Bridge) join(s *server, all *config.Config, cfg *config.ServerConfig) {
	s.cfg, s.ended = *cfg, make(chan struct{})
	s.state = b.state.Add(&s.cfg)
	s.link = amiconn.NewLink(cfg.Config, amiconn.Deps{
		Node: b.cfg.Node, Logger: b.deps.Logger, Dial: b.deps.Dial, Gate: b.gate.Acquire, Learn: b.learnOne,
		ReplyBytes: replyBytes, HeldBytes: heldBytes,
		Hooks: amiconn.Hooks{
			Event: s.onEvent, Corrupt: s.ingest.OnCorrupt, Clock: s.onClock,
			State: s.onState, Breaker: s.status.OnBreaker,
		},
	})
	s.status.Follow(cfg, s.link.Status().Sessions)
	s.state.Ask(s.link)
	s.target = actions.NewTarget(all, &s.cfg, s.link, s.pressure, s.state.Acted)
	s.status.CountActions(s.actionsReport)
	if s.shared != nil {
		s.shared.Follow(s.link.Ping, s.link.Acts)
		s.target.Share(s.shared.Leads)
		s.shared.Copies(all.CopiesOf(cfg))
		s.outbox.SetFilters(filtersOf(cfg))
	}
}

// resumes reports whether a server's last event before this process is asked for: where
// several bridges share it, who leads looks itself.
func (b *Bridge) resumes() bool { return b.cfg.Delivery != config.DeliverCore && b.ha == nil }

// onEvent has an event published and reduced, both on the reader's goroutine. Neither
// takes note of what the other makes of it: filters and a full outbox do not change what
// is up.
func (s *server) onEvent(e amiconn.Event) {
	s.ingest.OnEvent(e)
	s.state.OnEvent(e)
}

// tellGap hears of a Gap that is being put into the stream.
func (s *server) tellGap(g outbox.Gap) {
	s.status.PublishGap(g)
	if s.tap.IsOpen() {
		s.tap.Event(s.subjects.Gap(), g.AppendJSON(nil), time.Now().UnixNano())
	}
}

// onState hears that a session has changed.
func (s *server) onState(c amiconn.Change) {
	s.status.OnSession(c)
	if c.Role != amiconn.RoleActions {
		s.ingest.OnSession(c)
		if s.shared != nil && (c.To == amiconn.StateUp || c.Session != "") {
			s.shared.Session(c.To == amiconn.StateUp)
		}
	}
	s.state.OnSession(c)
}

// onClock hears that a Ping was answered.
func (s *server) onClock(c amiconn.Clock) {
	s.ingest.OnClock(c)
	if s.shared != nil {
		s.shared.Pong(c.Sent)
	}
}

// share has s be shared with other bridges.
func (b *Bridge) share(s *server, cfg *config.ServerConfig) {
	name := cfg.Name // what is called later keeps no cfg, which is one of a whole list
	s.shared = b.ha.Add(ha.Server{
		Name: name, Outbox: s.outbox, Events: s.subjects.All(), Terms: s.subjects.Term(),
		Most: int(cfg.OutboxBytes) / outbox.EntryBytes, Filters: filtersOf(cfg),
		Led: func(leads bool) { b.led(name, leads) }, Changed: s.status.OnStanding,
	})
}

// led hears whether this bridge leads a server that others share.
func (b *Bridge) led(name string, leads bool) {
	if err := b.actions.Lead(name, leads); err != nil {
		b.log.Error("requests are not taken", zap.String("server", name), zap.Error(err))
	}
}

// filtersOf is the hash of all that decides which events of a server count, and how they
// are written.
func filtersOf(cfg *config.ServerConfig) uint64 {
	return standby.Hash(fmt.Append(nil, cfg.EventsAllow, cfg.EventsDeny, cfg.Events, cfg.MaxFrameBytes, cfg.Charset))
}

// pressure is called when the buffers of Actions may have filled or drained.
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
