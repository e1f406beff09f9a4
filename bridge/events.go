package bridge

import (
	"reflect"
	"slices"
	"sync/atomic"

	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/fairness"
	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
)

// ingest takes the events of one server from its reader to its outbox. The fields
// from subjects on belong to the reader of the event session and to the supervisor
// between two of them.
type ingest struct {
	charset   frames.Charset
	log       *zap.Logger
	filter    atomic.Pointer[filter] // which events are taken
	outbox    *outbox
	scheduler *fairness.Scheduler
	number    int  // the outbox's at the scheduler
	recalls   bool // the stream is asked for the last event before this process

	corrupt  atomic.Uint64 // frames that are neither Event nor Response, of any session
	replaced atomic.Uint64 // U+FFFD for bytes that are no text

	subjects *subjects
	judged   *filter            // that verdicts are of
	verdicts map[string]verdict // answers of judge
	payload  []byte             // the event being encoded
	watch    restartWatch
}

// newIngest returns what takes the events of cfg to box. With recalls the Gap that
// goes before the first event waits until the outbox is told of the last one before
// this process.
func newIngest(cfg *ServerConfig, subjects *subjects, box *outbox, scheduler *fairness.Scheduler, recalls bool, log *zap.Logger) *ingest {
	s := &ingest{
		charset: cfg.Charset, log: log, outbox: box, scheduler: scheduler, number: scheduler.Add(), recalls: recalls,
		subjects: subjects, verdicts: make(map[string]verdict),
	}
	s.filter.Store(newFilter(cfg))
	return s
}

// refilter puts what cfg says of events' names in force, which the reader takes up
// with its next event.
func (s *ingest) refilter(cfg *ServerConfig) {
	if next := newFilter(cfg); !reflect.DeepEqual(s.filter.Load(), next) {
		s.filter.Store(next)
	}
}

// onEvent takes an event from the reader to the outbox. It runs on the
// reader's goroutine: it encodes, copies and counts, and never waits.
func (s *ingest) onEvent(e amiconn.Event) {
	s.watchRestart(e)
	if e.Frame.Kind() == frames.KindOther {
		s.refuse(e, lostAs(e.Frame))
		return
	}
	if e.Frame.Truncated {
		s.refuse(e, dropOversize)
		s.log.Warn("event dropped", zap.String("reason", dropOversize), zap.ByteString("event", short(e.Frame.Name())),
			zap.Int("bytes", e.Frame.Size), zap.Uint64("seq", e.Seq))
		return
	}
	name := e.Frame.Name()
	verdict := s.judge(name)
	if verdict == unwanted {
		s.outbox.filter()
		return
	}
	payload, replaced := frames.AppendJSON(s.payload[:0], e.Frame, s.charset)
	s.payload = payload
	if cap(s.payload) > keptPayload {
		s.payload = nil
	}
	if len(payload) > maxPayload {
		s.refuse(e, dropOversize)
		s.log.Warn("event dropped", zap.String("reason", dropOversize), zap.ByteString("event", short(name)),
			zap.Int("bytes", len(payload)), zap.Uint64("seq", e.Seq))
		return
	}
	if replaced > 0 {
		s.replaced.Add(uint64(replaced))
	}
	s.push(outboxEntry{
		subject: s.subjects.event(name), session: e.Session, seq: e.Seq, at: e.At.UnixNano(),
	}, payload, verdict == sheddable)
}

// push hands an event to the outbox and tells the scheduler.
func (s *ingest) push(e outboxEntry, payload []byte, shed bool) {
	s.outbox.push(e, payload, shed)
	s.scheduler.Ready(s.number)
}

// refuse drops what cannot be published.
func (s *ingest) refuse(e amiconn.Event, reason string) {
	s.outbox.refuseAs(outboxEntry{session: e.Session, seq: e.Seq, at: e.At.UnixNano()}, reason)
	s.scheduler.Ready(s.number)
}

// lostAs is why a frame is lost that does not say that it is an event.
func lostAs(f *frames.Frame) string {
	if f.Truncated {
		return dropOversize
	}
	return dropCorrupt
}

// short is as much of a name as a log line quotes.
func short(name []byte) []byte { return name[:min(len(name), maxEventToken)] }

const (

	// maxPayload is what NATS takes by default (1 MiB) less room for headers.
	maxPayload = 1<<20 - 1<<10
)

// verdict is what the settings say of an event's name.
type verdict uint8

const (
	wanted verdict = iota
	unwanted
	sheddable // wanted, and the first to go
)

// filter is what the settings say of events' names. It is not changed once
// made: another takes its place (reload.go).
type filter struct {
	allow, deny, shed Globs
	everything        bool // all events are alike
}

func newFilter(cfg *ServerConfig) *filter {
	return &filter{
		allow: cfg.EventsAllow, deny: cfg.EventsDeny, shed: cfg.ShedFirst,
		everything: len(cfg.EventsDeny)+len(cfg.ShedFirst) == 0 && slices.Contains(cfg.EventsAllow, "*"),
	}
}

// judge applies EVENTS_ALLOW, EVENTS_DENY and SHED_FIRST, remembering each
// name's answer for as long as they stay the same.
func (s *ingest) judge(name []byte) verdict {
	f := s.filter.Load()
	if f.everything {
		return wanted
	}
	if f != s.judged {
		s.judged = f
		clear(s.verdicts)
	}
	if v, ok := s.verdicts[string(name)]; ok {
		return v
	}
	v := wanted
	switch text := string(name); {
	case !f.allow.Match(text) || f.deny.Match(text):
		v = unwanted
	case f.shed.Match(text):
		v = sheddable
	}
	if len(name) <= maxEventToken && len(s.verdicts) < maxEventNames {
		s.verdicts[string(name)] = v
	}
	return v
}

// onCorrupt counts a frame that is no message. If it came in the place of an
// event onEvent has told of it.
func (s *ingest) onCorrupt(size int) {
	s.corrupt.Add(1)
	s.log.Warn("corrupt frame", zap.Int("bytes", size))
}
