package ingest

import (
	"reflect"
	"slices"
	"sync/atomic"

	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/setting"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/subject"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/outbox"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/tap"
	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
)

// Source takes the events of one server from its reader to its outbox. Its handlers
// are the hooks of a Link: OnEvent and OnClock run on the reader of the event
// session, OnSession on the supervisor between two of them, OnCorrupt on the reader
// of any session.
type Source struct {
	log     *zap.Logger
	filter  atomic.Pointer[filter] // which events are taken, and how they are read
	outbox  *outbox.Outbox
	ready   func() // hears that the outbox has something to send; must not wait
	resumes bool   // the stream is asked for the last event before this process
	shared  bool   // by several bridges
	tap     *tap.Tap

	corrupt  atomic.Uint64 // frames that are neither Event nor Response, of any session
	replaced atomic.Uint64 // U+FFFD for bytes that are no text
	unread   unread

	// The reader's own.
	subjects   *subject.Subjects
	verdictsOf *filter            // that verdicts are of
	verdicts   map[string]verdict // answers of judge
	payload    []byte             // the event being encoded
	watch      restartWatch
}

// New returns the Source that takes the events of the server of cfg to box, and calls
// ready when that has something to send, which must not wait. With resumes a Gap stands
// before the first event, and waits until the outbox is told of the last event before
// this process. A shared server is read by several bridges: then whoever leads
// says what is missing before, and FullyBooted, which each session gets of its own, is
// filtered.
func New(cfg *config.ServerConfig, subjects *subject.Subjects, box *outbox.Outbox, ready func(), resumes, shared bool, log *zap.Logger) *Source {
	s := &Source{
		log: log, outbox: box, ready: ready,
		resumes: resumes && !shared, shared: shared, subjects: subjects, verdicts: make(map[string]verdict),
	}
	s.filter.Store(newFilter(cfg))
	return s
}

// SetFilter puts EVENTS_ALLOW, EVENTS_DENY, SHED_FIRST and CHARSET of cfg in force: the
// reader takes them up with its next event. It may be called from any goroutine.
func (s *Source) SetFilter(cfg *config.ServerConfig) {
	if next := newFilter(cfg); !reflect.DeepEqual(s.filter.Load(), next) {
		s.filter.Store(next)
	}
}

// Tapped has t see each event that goes to the outbox. It is for before the first.
func (s *Source) Tapped(t *tap.Tap) { s.tap = t }

// OnEvent takes an event from the reader to the outbox. It runs on the
// reader's goroutine: it encodes, copies and counts, and never waits. Whatever
// becomes of the event, its number is published, told in a Gap or counted as
// filtered. A panic goes on to the reader.
func (s *Source) OnEvent(e amiconn.Event) {
	lost := outbox.DropPanic // if nothing else is said
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
		s.outbox.Filter()
	default:
		entry := outbox.Entry{Subject: s.subjects.Event(name), Session: e.Session, Seq: e.Seq, At: e.At.UnixNano()}
		lost = ""
		s.tap.Event(entry.Subject, s.payload, entry.At)
		s.push(entry, s.payload, verdict == sheddable)
	}
	if cap(s.payload) > outbox.KeptPayload {
		s.payload = nil
	}
}

// encode judges the event of that name and, if it is wanted, has it as JSON in
// s.payload. Otherwise lost is why it cannot be published, and size how large it is.
func (s *Source) encode(f *frames.Frame, name []byte) (v verdict, size int, lost string) {
	if f.Kind() == frames.KindOther {
		return wanted, f.Size, lostAs(f)
	}
	v = s.classify(name)
	switch {
	case s.shared && string(name) == "FullyBooted":
		return unwanted, f.Size, ""
	case v == unwanted:
		return v, f.Size, ""
	case f.Truncated:
		return v, f.Size, outbox.DropOversize
	}
	payload, replaced := frames.AppendJSON(s.payload[:0], f, s.filter.Load().charset)
	s.payload = payload
	if len(payload) > maxPayload {
		return v, len(payload), outbox.DropOversize
	}
	if replaced > 0 {
		s.replaced.Add(uint64(replaced))
	}
	return v, len(payload), ""
}

// push hands an event to the outbox, which has something to send then.
func (s *Source) push(e outbox.Entry, payload []byte, shed bool) {
	s.outbox.Push(e, payload, shed)
	s.ready()
}

// refuse drops what cannot be published.
func (s *Source) refuse(e amiconn.Event, reason string) {
	s.outbox.RefuseAs(outbox.Entry{Session: e.Session, Seq: e.Seq, At: e.At.UnixNano()}, reason)
	s.ready()
}

// lostAs is why a frame is lost that does not say that it is an event.
func lostAs(f *frames.Frame) string {
	if f.Truncated {
		return outbox.DropOversize
	}
	return outbox.DropCorrupt
}

// short is as much of a name as a log line quotes.
func short(name []byte) []byte { return name[:min(len(name), subject.MaxToken)] }

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

// filter is what the settings say of events' names and texts. It is not changed once
// made: SetFilter puts another in its place.
type filter struct {
	allow, deny, shed setting.Globs
	everything        bool // all events are alike
	system            bool // events of that class are asked for
	charset           frames.Charset
}

func newFilter(cfg *config.ServerConfig) *filter {
	return &filter{
		allow: cfg.EventsAllow, deny: cfg.EventsDeny, shed: cfg.ShedFirst, charset: cfg.Charset, system: cfg.Events.Has("system"),
		everything: len(cfg.EventsDeny)+len(cfg.ShedFirst) == 0 && slices.Contains(cfg.EventsAllow, "*"),
	}
}

// classify applies EVENTS_ALLOW, EVENTS_DENY and SHED_FIRST, remembering each
// name's answer for as long as they stay the same.
func (s *Source) classify(name []byte) verdict {
	f := s.filter.Load()
	if f.everything {
		return wanted
	}
	if f != s.verdictsOf {
		s.verdictsOf = f
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
	if len(name) <= subject.MaxToken && len(s.verdicts) < subject.MaxNames {
		s.verdicts[string(name)] = v
	}
	return v
}

// Odd returns how many frames were neither Event nor Response, in any session, and
// how many bytes that are no text were replaced.
func (s *Source) Odd() (corrupt, replaced uint64) { return s.corrupt.Load(), s.replaced.Load() }

// OnCorrupt counts a frame of size bytes that is no message. If it came in the place
// of an event, OnEvent was called with it before.
func (s *Source) OnCorrupt(size int) {
	s.corrupt.Add(1)
	s.log.Warn("corrupt frame", zap.Int("bytes", size))
}
