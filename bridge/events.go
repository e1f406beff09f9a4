package bridge

import (
	"slices"
	"sync/atomic"

	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
)

// eventCounts is what the outbox does not count.
type eventCounts struct {
	corrupt  atomic.Uint64 // frames that are neither Event nor Response, of any session
	replaced atomic.Uint64 // U+FFFD for bytes that are no text
}

// onEvent takes an event from the reader to the outbox. It runs on the
// reader's goroutine: it encodes, copies and counts, and never waits. Whatever
// becomes of the event, its number is published, told in a Gap or counted as
// filtered. A panic goes on to the reader.
func (s *server) onEvent(e amiconn.Event) {
	lost := dropPanic // if nothing else is said
	defer func() {
		if lost != "" {
			s.refuse(e, lost)
		}
	}()
	s.watchRestart(e)
	name := e.Frame.Name()
	verdict, size, reason := s.encode(e.Frame, name)
	switch {
	case reason != "":
		if lost = reason; name != nil {
			s.log.Warn("event dropped", zap.String("reason", reason), zap.ByteString("event", short(name)),
				zap.Int("bytes", size), zap.Uint64("seq", e.Seq))
		}
	case verdict == unwanted:
		lost = ""
		s.outbox.filter()
	default:
		entry := outboxEntry{subject: s.subjects.event(name), session: e.Session, seq: e.Seq, at: e.At.UnixNano()}
		lost = ""
		s.push(entry, s.payload, verdict == sheddable)
	}
	if cap(s.payload) > keptPayload {
		s.payload = nil
	}
}

// encode judges the event of that name and, if it is wanted, has it as JSON in
// s.payload. Otherwise lost is why it cannot be published, and size how large it is.
func (s *server) encode(f *frames.Frame, name []byte) (v verdict, size int, lost string) {
	if f.Kind() == frames.KindOther {
		return wanted, f.Size, lostAs(f)
	}
	v = s.judge(name)
	switch {
	case v == unwanted:
		return v, f.Size, ""
	case f.Truncated:
		return v, f.Size, dropOversize
	}
	payload, replaced := frames.AppendJSON(s.payload[:0], f, s.cfg.Charset)
	s.payload = payload
	if len(payload) > maxPayload {
		return v, len(payload), dropOversize
	}
	if replaced > 0 {
		s.counts.replaced.Add(uint64(replaced))
	}
	return v, len(payload), ""
}

// push hands an event to the outbox and tells the scheduler.
func (s *server) push(e outboxEntry, payload []byte, shed bool) {
	s.outbox.push(e, payload, shed)
	s.scheduler.Ready(s.source)
}

// refuse drops what cannot be published.
func (s *server) refuse(e amiconn.Event, reason string) {
	s.outbox.refuseAs(outboxEntry{session: e.Session, seq: e.Seq, at: e.At.UnixNano()}, reason)
	s.scheduler.Ready(s.source)
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
	// keptPayload is how large an encoding buffer outlives its event.
	keptPayload = 64 << 10
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
func (s *server) judge(name []byte) verdict {
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
func (s *server) onCorrupt(size int) {
	s.counts.corrupt.Add(1)
	s.log.Warn("corrupt frame", zap.Int("bytes", size))
}
