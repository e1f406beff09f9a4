package ingest

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/clock"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/outbox"
	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
)

// restartWatch makes a Gap of the time between two event sessions. The Gap
// stands before the new session's first event and says whether Asterisk itself
// was started anew; so it waits for that event, or for some status intervals,
// and then, holding back what is behind it, at most maxGapHeld for what makes the
// answer sure (boot.go). The fields belong to the reader and to the supervisor
// between two of them, but for the gap.
type restartWatch struct {
	lastEvent  time.Time // the last event, or the login
	lastSign   time.Time // the last event or Pong
	signBefore time.Time // the last sign of life of the session before
	shutdown   bool      // Asterisk said that it shuts down
	first      bool      // the next event is the session's first
	fresh      bool      // and the process's, so that only the stream knows the last
	before     boot      // what the session before said of when Asterisk was started
	now        boot      // what this one has said so far

	due atomic.Bool // there is a gap
	mu  sync.Mutex  // protects the following
	// gap waits for a better answer, since then.
	gap     *outbox.Gap
	since   time.Time
	session string
	held    *outbox.Gap // in the outbox, and still waits for an answer
}

const (
	// GapIntervals is for how many status intervals a gap waits for an event: an
	// Asterisk that boots takes its time.
	GapIntervals = 6
	// maxGapHeld is how long the events behind a Gap wait for what it says of a
	// restart: the answer to a Ping, or the next event of an Asterisk that boots.
	maxGapHeld = 3 * time.Second
)

// OnSession is called when the event session comes up or ends. It runs on the session's
// supervisor, while no reader runs.
func (s *Source) OnSession(c amiconn.Change) {
	s.unread.onSession(c, s.filter.Load().system)
	w := &s.watch
	switch {
	case c.To == amiconn.StateUp:
		w.mu.Lock()
		if w.lastEvent.IsZero() {
			w.lastEvent, w.fresh = c.At, s.resumes
			if s.resumes {
				w.gap = &outbox.Gap{Reason: outbox.GapRestart, Unknown: true, Restarted: "unknown", Resume: true}
			}
		}
		if w.gap != nil {
			w.gap.From, w.gap.To = clock.Wall(w.lastEvent, c.At), c.At.UnixNano()
			w.since, w.session = c.At, c.Session
			w.due.Store(true)
		}
		w.mu.Unlock()
		w.first, w.signBefore, w.lastSign = true, w.lastSign, c.At
		w.before, w.now = w.now, boot{glued: w.now.glued}
	case (c.To == amiconn.StateWaiting || c.To == amiconn.StateStopped) && c.Session != "":
		s.closeGap("") // of the loss before, if no event came
		reason := string(c.Reason)
		if c.To == amiconn.StateStopped { // another Link may go on
			reason = outbox.GapRestart
		}
		w.mu.Lock()
		w.gap = &outbox.Gap{Reason: reason, Unknown: true, Restarted: "unknown"}
		if w.shutdown {
			w.gap.Restarted = "yes"
		}
		w.mu.Unlock()
		w.shutdown, w.fresh = false, false
	}
}

// watchRestart looks at an event for what it says of a restart.
func (s *Source) watchRestart(e amiconn.Event) {
	w := &s.watch
	name := e.Frame.Name()
	if e.Frame.Kind() == frames.KindOther {
		name = nil // it is no event
	}
	said := w.now.observe(name, e, w.first)
	if string(name) == "FullyBooted" {
		s.unread.booted()
	}
	if w.first {
		w.first = false
		if w.fresh {
			w.fresh, w.before, w.signBefore = false, boot{}, s.outbox.LastBefore()
		}
		s.decide(true)
	} else if said {
		s.decide(false)
	}
	if string(name) == "Shutdown" {
		w.shutdown = true
	}
	w.lastEvent, w.lastSign = e.At, e.At
}

// OnClock takes the server's clock, as a Pong says it. It runs on the reader.
func (s *Source) OnClock(c amiconn.Clock) {
	w := &s.watch
	w.lastSign = c.Received
	if w.now.time(c) && !w.first {
		s.decide(false)
	}
}

// decide closes the gap, if what is known by now is an answer. The first event
// of a session cannot wait for one outside of the outbox.
func (s *Source) decide(first bool) {
	w := &s.watch
	restarted, wait := w.now.restarted(&w.before, w.signBefore)
	switch {
	case !wait:
		s.closeGap(restarted)
	case first:
		s.holdGap()
	}
}

// holdGap puts the Gap into the outbox, if there is one, and has what comes
// behind it wait for CloseGap, or for as long as a Gap is held.
func (s *Source) holdGap() {
	w := &s.watch
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.gap == nil {
		return
	}
	if w.gap.Restarted == "yes" { // it has said so itself
		s.putGap()
		return
	}
	gap := w.gap
	gap.Held = true
	w.held = gap
	s.putGap()
	time.AfterFunc(maxGapHeld, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.held == gap {
			s.release("")
		}
	})
}

// putGap puts the gap into the outbox. It is called with w.mu held.
func (s *Source) putGap() {
	w := &s.watch
	s.outbox.PushGap(w.session, w.gap)
	s.ready()
	w.gap = nil
	w.due.Store(w.held != nil)
}

// release lets go what is held. It is called with w.mu held.
func (s *Source) release(restarted string) {
	w := &s.watch
	s.outbox.Unhold(w.held, restarted)
	s.ready()
	w.held = nil
	w.due.Store(w.gap != nil)
}

// closeGap puts the Gap into the outbox, if one is due, or lets it go that is
// there already. Without an answer it says what was known when the session was
// lost.
func (s *Source) closeGap(restarted string) {
	w := &s.watch
	if !w.due.Load() {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.held != nil {
		s.release(restarted)
	}
	if w.gap == nil {
		return
	}
	if restarted != "" && w.gap.Restarted != "yes" {
		w.gap.Restarted = restarted
	}
	s.putGap()
}

// CloseGap puts the Gap into the outbox that is due, if there is one, and waits no
// longer for what would make its answer sure. It is called once no event comes any
// more, and may be called from any goroutine.
func (s *Source) CloseGap() { s.closeGap("") }

// CloseOldGap puts a Gap into the outbox behind whose login, before that time, no
// event has come. It may be called from any goroutine.
func (s *Source) CloseOldGap(before time.Time) {
	w := &s.watch
	if !w.due.Load() {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.gap != nil && w.held == nil && !w.since.After(before) {
		s.putGap()
	}
}
