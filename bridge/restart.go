package bridge

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
// and then, holding back what is behind it, at most holdHole for what makes the
// answer sure (boot.go). The fields belong to the reader and to the supervisor
// between two of them, but for the hole.
type restartWatch struct {
	heard    time.Time // the last event, or the login
	alive    time.Time // the last event or Pong
	lost     time.Time // the last sign of life of the session before
	shutdown bool      // Asterisk said that it shuts down
	first    bool      // the next event is the session's first
	fresh    bool      // and the process's, so that only the stream knows the last
	before   boot      // what the session before said of when Asterisk was started
	now      boot      // what this one has said so far

	due atomic.Bool // there is a hole
	mu  sync.Mutex  // protects the following
	// hole waits for a better answer, since then.
	hole    *outbox.Gap
	since   time.Time
	session string
	held    *outbox.Gap // in the outbox, and still waits for an answer
}

const (
	// holeIntervals is for how many status intervals a hole waits for an event: an
	// Asterisk that boots takes its time.
	holeIntervals = 6
	// holdHole is how long the events behind a Gap wait for what it says of a
	// restart: the answer to a Ping, or the next event of an Asterisk that boots.
	holdHole = 3 * time.Second
)

// watchSession hears that an event session came or went.
func (s *ingest) watchSession(c amiconn.Change) {
	w := &s.watch
	switch {
	case c.To == amiconn.StateUp:
		w.mu.Lock()
		if w.heard.IsZero() {
			w.heard, w.fresh = c.At, s.recalls
			if s.recalls {
				w.hole = &outbox.Gap{Reason: outbox.GapRestart, Unknown: true, Restarted: "unknown", Recall: true}
			}
		}
		if w.hole != nil {
			w.hole.From, w.hole.To = clock.Wall(w.heard, c.At), c.At.UnixNano()
			w.since, w.session = c.At, c.Session
			w.due.Store(true)
		}
		w.mu.Unlock()
		w.first, w.lost, w.alive = true, w.alive, c.At
		w.before, w.now = w.now, boot{glued: w.now.glued}
	case c.To == amiconn.StateWaiting && c.Session != "":
		s.closeHole("") // of the loss before, if no event came
		w.mu.Lock()
		w.hole = &outbox.Gap{Reason: string(c.Reason), Unknown: true, Restarted: "unknown"}
		if w.shutdown {
			w.hole.Restarted = "yes"
		}
		w.mu.Unlock()
		w.shutdown, w.fresh = false, false
	}
}

// watchRestart looks at an event for what it says of a restart.
func (s *ingest) watchRestart(e amiconn.Event) {
	w := &s.watch
	name := e.Frame.Name()
	if e.Frame.Kind() == frames.KindOther {
		name = nil // it is no event
	}
	said := w.now.hear(name, e, w.first)
	if w.first {
		w.first = false
		if w.fresh {
			w.fresh, w.before, w.lost = false, boot{}, s.outbox.LastBefore()
		}
		s.answer(true)
	} else if said {
		s.answer(false)
	}
	if string(name) == "Shutdown" {
		w.shutdown = true
	}
	w.heard, w.alive = e.At, e.At
}

// onClock hears what a Pong says of the server's clock.
func (s *ingest) onClock(c amiconn.Clock) {
	w := &s.watch
	w.alive = c.Told
	if w.now.time(c) && !w.first {
		s.answer(false)
	}
}

// answer closes the hole, if what is known by now is an answer. The first event
// of a session cannot wait for one outside of the outbox.
func (s *ingest) answer(first bool) {
	w := &s.watch
	restarted, wait := w.now.restarted(&w.before, w.lost)
	switch {
	case !wait:
		s.closeHole(restarted)
	case first:
		s.holdHole()
	}
}

// holdHole puts the Gap into the outbox, if there is one, and has what comes
// behind it wait for closeHole, or for as long as a Gap is held.
func (s *ingest) holdHole() {
	w := &s.watch
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.hole == nil {
		return
	}
	if w.hole.Restarted == "yes" { // it has said so itself
		s.putHole()
		return
	}
	hole := w.hole
	hole.Held = true
	w.held = hole
	s.putHole()
	time.AfterFunc(holdHole, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.held == hole {
			s.settle("")
		}
	})
}

// putHole puts the hole into the outbox. It is called with w.mu held.
func (s *ingest) putHole() {
	w := &s.watch
	s.outbox.PushGap(w.session, w.hole)
	s.scheduler.Ready(s.number)
	w.hole = nil
	w.due.Store(w.held != nil)
}

// settle lets go what is held. It is called with w.mu held.
func (s *ingest) settle(restarted string) {
	w := &s.watch
	s.outbox.Unhold(w.held, restarted)
	s.scheduler.Ready(s.number)
	w.held = nil
	w.due.Store(w.hole != nil)
}

// closeHole puts the Gap into the outbox, if one is due, or lets it go that is
// there already. Without an answer it says what was known when the session was
// lost.
func (s *ingest) closeHole(restarted string) {
	w := &s.watch
	if !w.due.Load() {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.held != nil {
		s.settle(restarted)
	}
	if w.hole == nil {
		return
	}
	if restarted != "" && w.hole.Restarted != "yes" {
		w.hole.Restarted = restarted
	}
	s.putHole()
}

// closeOldHole puts a Gap into the outbox that no event has come behind since
// before that time.
func (s *ingest) closeOldHole(before time.Time) {
	w := &s.watch
	if !w.due.Load() {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.hole != nil && w.held == nil && !w.since.After(before) {
		s.putHole()
	}
}
