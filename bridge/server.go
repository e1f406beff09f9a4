package bridge

import (
	"sync/atomic"
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
	permits   atomic.Pointer[permits] // which Actions are taken
	filter    atomic.Pointer[filter]  // which events are
	link      *amiconn.Link
	outbox    *outbox
	scheduler *fairness.Scheduler
	source    int // the outbox's number at the scheduler
	status    *status
	counts    eventCounts
	tally     tally
	streamed  partCounts

	subjects *subjects
	judged   *filter            // that verdicts are of
	verdicts map[string]verdict // answers of judge
	payload  []byte             // the event being encoded
	watch    restartWatch
	recalls  bool // the stream is asked for the last event before this process

	alarm  func()      // the status goroutine looks at the buffers
	busy   atomic.Bool // an Action buffer is over 80 %
	states states
	gaps   gapCounts
	levels levels // the status goroutine's own

	// What the log has told of.
	told       map[string]*sum // events dropped, by reason
	toldStrays sum
}

// newServer allocates one server of b.
func (b *Bridge) newServer(cfg ServerConfig) *server {
	s := &server{
		cfg: cfg, node: b.cfg.Node,
		log:       b.log.With(zap.String("server", cfg.Name)),
		alarm:     b.alarm,
		scheduler: b.scheduler, source: b.scheduler.Add(),
		status:   b.status,
		subjects: newSubjects(b.cfg.SubjectPrefix, cfg.Name),
		verdicts: make(map[string]verdict),
		gaps:     newGapCounts(),
		told:     make(map[string]*sum),
		recalls:  b.cfg.Delivery != DeliverCore,
	}
	s.permits.Store(&permits{policy: newPolicy(&b.cfg, &cfg), limits: cfg.ActionRates, rates: newLimiter(cfg.ActionRates)})
	s.filter.Store(newFilter(&cfg))
	s.outbox = newOutbox(int(cfg.OutboxBytes), s.subjects.gap(), b.budget, b.alarm)
	s.link = amiconn.NewLink(cfg.Config, amiconn.Deps{
		Node: b.cfg.Node, Logger: b.deps.Logger, Dial: b.deps.Dial, Gate: b.gate.Acquire, Learn: b.learnOne,
		ReplyBytes: replyBytes, HeldBytes: heldBytes,
		Hooks: amiconn.Hooks{Event: s.onEvent, Corrupt: s.onCorrupt, Clock: s.onClock, State: s.onState, Breaker: s.onBreaker},
	})
	for _, session := range s.link.Status().Sessions {
		s.states.sessions = append(s.states.sessions, amiconn.Change{Name: session.Name, Role: session.Role})
	}
	return s
}

const (
	// replyBytes is the body of one reply: what NATS takes by default (1 MiB)
	// less room for what the bridge adds.
	replyBytes = 1<<20 - 8<<10
	// heldBytes bounds the bodies of one server's replies together.
	heldBytes = 64 << 20
)

// tellGap publishes, as a status, a Gap that is being put into the stream.
func (s *server) tellGap(g gap) {
	s.gaps.add(g.reason)
	s.status.publish(s.subjects.status("gap", g.reason), s.gapStatus(g))
	fields := []zap.Field{
		zap.String("reason", g.reason), zap.Time("from", time.Unix(0, g.from)), zap.Time("to", time.Unix(0, g.to)),
	}
	if !g.unknown {
		fields = append(fields, zap.Uint64("count", g.lost))
	}
	if g.restarted != "" {
		fields = append(fields, zap.String("restarted", g.restarted))
	}
	s.log.Warn("gap in the events", fields...)
}

// tellDrops logs what was dropped, as a sum has it; the Gap comes when it is its
// turn in the stream. It is for the status goroutine.
func (s *server) tellDrops(now time.Time) {
	for reason, n := range s.outbox.account().dropped {
		told := s.told[reason]
		if told == nil {
			told = &sum{at: now}
			s.told[reason] = told
		}
		if lost, since := told.due(n, now); lost > 0 {
			s.log.Warn("events dropped", zap.String("reason", reason), zap.Uint64("count", lost), zap.Time("since", since))
		}
	}
}

// tellStrays logs how many events came behind a reply that had announced none. It
// is for the status goroutine.
func (s *server) tellStrays(now time.Time) {
	calls := s.link.Status().Calls
	if n, _ := s.toldStrays.due(calls.Strays, now); n > 0 {
		s.log.Warn("events behind a reply that announced none", zap.String("action", calls.Stray), zap.Uint64("count", n))
	}
}
