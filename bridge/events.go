package bridge

import (
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
)

// eventCounts is what the outbox does not count.
type eventCounts struct {
	corrupt  atomic.Uint64 // frames that are neither Event nor Response
	replaced atomic.Uint64 // U+FFFD for bytes that are no text
}

// onEvent takes an event from the reader to the outbox. It runs on the
// reader's goroutine: it encodes, copies and counts, and never waits.
func (s *server) onEvent(e amiconn.Event) {
	if e.Frame.Truncated {
		s.outbox.refuse(dropOversize)
		s.log.Warn("event dropped", zap.String("reason", "oversize"), zap.ByteString("event", short(e.Frame.Name())),
			zap.Int("bytes", e.Frame.Size), zap.Uint64("seq", e.Seq))
		return
	}
	name := e.Frame.Name()
	if !s.wanted(name) {
		s.outbox.refuse("")
		return
	}
	payload, replaced := frames.AppendJSON(s.payload[:0], e.Frame, s.cfg.Charset)
	s.payload = payload
	if cap(s.payload) > keptPayload {
		s.payload = nil
	}
	if len(payload) > maxPayload {
		s.outbox.refuse(dropOversize)
		s.log.Warn("event dropped", zap.String("reason", dropOversize), zap.ByteString("event", short(name)),
			zap.Int("bytes", len(payload)), zap.Uint64("seq", e.Seq))
		return
	}
	if replaced > 0 {
		s.counts.replaced.Add(uint64(replaced))
	}
	s.lastEvent = e.At
	s.push(outboxEntry{subject: s.subjects.event(name), session: e.Session, seq: e.Seq, at: e.At.UnixNano()}, payload)
}

// short is as much of a name as a log line quotes.
func short(name []byte) []byte { return name[:min(len(name), maxEventToken)] }

const (
	// keptPayload is how large an encoding buffer outlives its event.
	keptPayload = 64 << 10
	// maxPayload is what NATS takes by default (1 MiB) less room for headers.
	maxPayload = 1<<20 - 1<<10
)

// push hands an entry to the outbox and tells the scheduler.
func (s *server) push(e outboxEntry, payload []byte) {
	s.outbox.push(e, payload)
	s.scheduler.Ready(s.source)
}

// wanted applies EVENTS_ALLOW and EVENTS_DENY, remembering each name's answer.
func (s *server) wanted(name []byte) bool {
	if s.everything {
		return true
	}
	if wanted, ok := s.filter[string(name)]; ok {
		return wanted
	}
	wanted := s.cfg.EventsAllow.Match(string(name)) && !s.cfg.EventsDeny.Match(string(name))
	if len(name) <= maxEventToken && len(s.filter) < maxEventNames {
		s.filter[string(name)] = wanted
	}
	return wanted
}

// onCorrupt counts a frame that is no message.
func (s *server) onCorrupt(size int) {
	s.counts.corrupt.Add(1)
	s.log.Warn("corrupt frame", zap.Int("bytes", size))
}

// gapPayload is the Gap event that stands in the stream of events where some
// are missing.
func gapPayload(from, to time.Time, reason, lost string) []byte {
	p := append([]byte(nil), `{"Event":"Gap","From":"`...)
	p = from.UTC().AppendFormat(p, timeFormat)
	p = append(p, `","To":"`...)
	p = to.UTC().AppendFormat(p, timeFormat)
	p = append(p, `","Reason":`...)
	p = strconv.AppendQuote(p, reason)
	p = append(p, `,"Lost":`...)
	return append(strconv.AppendQuote(p, lost), '}')
}

// timeFormat is RFC 3339 with microseconds.
const timeFormat = "2006-01-02T15:04:05.000000Z07:00"

// allEvents reports whether no filter is set.
func allEvents(cfg *ServerConfig) bool {
	if len(cfg.EventsDeny) > 0 {
		return false
	}
	return slices.Contains(cfg.EventsAllow, "*")
}
