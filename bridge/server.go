package bridge

import (
	"time"

	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/fairness"
)

// server is one Asterisk as the bridge sees it: its Link, its outbox and what
// was counted. The fields from subjects on belong to the reader of its event
// session and to the supervisor between two of them.
type server struct {
	cfg       ServerConfig
	node      string
	log       *zap.Logger
	policy    policy
	link      *amiconn.Link
	outbox    *outbox
	scheduler *fairness.Scheduler
	source    int // the outbox's number at the scheduler
	replier   *replier
	status    *status
	inFlight  *flight // Actions until their reply is published
	counts    eventCounts
	actions   actionCounts

	subjects   *subjects
	everything bool            // no filter is set
	filter     map[string]bool // answers of wanted
	payload    []byte          // the event being encoded
	lastEvent  time.Time       // when the last event was read
	lostAt     time.Time       // when the event session ended, zero if none did
	lostWhy    amiconn.Reason

	// What tellDrops has told, and when.
	told   map[string]uint64
	toldAt time.Time
}

// newServer allocates one server of b.
func (b *Bridge) newServer(cfg ServerConfig) *server {
	s := &server{
		cfg: cfg, node: b.cfg.Node,
		log:       b.log.With(zap.String("server", cfg.Name)),
		policy:    policy{allow: b.cfg.ActionsAllow, deny: b.cfg.ActionsDeny},
		outbox:    newOutbox(int(cfg.OutboxBytes), b.budget),
		scheduler: b.scheduler, source: b.scheduler.Add(),
		status: b.status, inFlight: b.inFlight,
		subjects:   newSubjects(b.cfg.SubjectPrefix, cfg.Name),
		everything: allEvents(&cfg),
		filter:     make(map[string]bool),
		toldAt:     time.Now(),
	}
	if len(cfg.ActionsAllow) > 0 {
		s.policy.allow = cfg.ActionsAllow
	}
	if len(cfg.ActionsDeny) > 0 {
		s.policy.deny = cfg.ActionsDeny
	}
	s.link = amiconn.NewLink(cfg.Config, amiconn.Deps{
		Node: b.cfg.Node, Logger: b.deps.Logger, Dial: b.deps.Dial, Gate: b.gate.Acquire,
		ReplyBytes: replyBytes, HeldBytes: heldBytes,
		Hooks: amiconn.Hooks{Event: s.onEvent, Corrupt: s.onCorrupt, State: s.onState},
	})
	return s
}

const (
	// replyBytes is the body of one reply: what NATS takes by default (1 MiB)
	// less room for what the bridge adds.
	replyBytes = 1<<20 - 8<<10
	// heldBytes bounds the bodies of one server's replies together.
	heldBytes = 64 << 20
)

// onState publishes a session's change. When the event session is up again
// after a loss, what AMI did not tell meanwhile is a gap.
func (s *server) onState(c amiconn.Change) {
	s.status.publish(s.subjects.status("connection", c.Role.String()), connectionStatus(s, c))
	if c.Role == amiconn.RoleActions {
		return
	}
	switch c.To {
	case amiconn.StateUp:
		if !s.lostAt.IsZero() {
			s.gap(c)
		}
		s.lostAt = time.Time{}
	case amiconn.StateWaiting:
		if c.Session != "" {
			s.lostAt, s.lostWhy = c.At, c.Reason
			if !s.lastEvent.IsZero() {
				s.lostAt = s.lastEvent
			}
		}
	}
}

// gap puts a Gap event where the events are missing and tells it as a status.
// No reader runs now, so the outbox has one producer still.
func (s *server) gap(c amiconn.Change) {
	// Numbered 0: the session's own events begin at 1.
	s.push(outboxEntry{subject: s.subjects.gap(), session: c.Session, seq: 0, at: c.At.UnixNano()},
		gapPayload(s.lostAt, c.At, string(s.lostWhy), "unknown"))
	s.status.publish(s.subjects.status("gap", string(s.lostWhy)), gapStatus(s, s.lostAt, c.At, string(s.lostWhy), nil))
	s.log.Warn("events may be missing", zap.String("reason", string(s.lostWhy)),
		zap.Time("from", s.lostAt), zap.Time("to", c.At))
}

// tellDrops logs and publishes what was dropped since it was last called. Only
// one goroutine calls it at a time: the status ticker, and the shutdown after it.
func (s *server) tellDrops() {
	now, dropped := time.Now(), s.outbox.account().dropped
	for reason, n := range dropped {
		lost := n - s.told[reason]
		if lost == 0 {
			continue
		}
		s.log.Warn("events dropped", zap.String("reason", reason), zap.Uint64("count", lost), zap.Time("since", s.toldAt))
		s.status.publish(s.subjects.status("gap", reason), gapStatus(s, s.toldAt, now, reason, &lost))
	}
	s.told, s.toldAt = dropped, now
}
