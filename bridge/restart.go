package bridge

import (
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn"
)

// restartWatch makes a Gap of the time between two event sessions. The Gap
// stands before the new session's first event, which often says whether
// Asterisk itself was started anew; so it waits for that one, or for some
// status intervals. The fields belong to the reader and to the supervisor
// between two of them, but for the hole.
type restartWatch struct {
	heard    time.Time // the last event, or the login
	shutdown bool      // Asterisk said that it shuts down
	first    bool      // the next event is the session's first
	fresh    bool      // and the process's, so that only the stream knows the last
	booted   bool      // the last session began with FullyBooted
	started  time.Time // when Asterisk was, by its Uptime, or zero

	due atomic.Bool // there is a hole
	mu  sync.Mutex  // protects the following
	// hole waits for a better answer, since then.
	hole    *gap
	since   time.Time
	session string
}

// holeIntervals is for how many status intervals a hole waits for an event: an
// Asterisk that boots takes its time.
const holeIntervals = 6

// watchSession hears that an event session came or went.
func (s *server) watchSession(c amiconn.Change) {
	w := &s.watch
	switch {
	case c.To == amiconn.StateUp:
		w.mu.Lock()
		if w.heard.IsZero() {
			w.heard, w.fresh = c.At, s.recalls
			if s.recalls {
				w.hole = &gap{reason: gapRestart, unknown: true, restarted: "unknown", recall: true}
			}
		}
		if w.hole != nil {
			w.hole.from, w.hole.to = wallTime(w.heard, c.At), c.At.UnixNano()
			w.since, w.session = c.At, c.Session
			w.due.Store(true)
		}
		w.mu.Unlock()
		w.first = true
	case c.To == amiconn.StateWaiting && c.Session != "":
		s.closeHole(time.Now(), "") // of the loss before, if no event came
		w.mu.Lock()
		w.hole = &gap{reason: string(c.Reason), unknown: true, restarted: "unknown"}
		if w.shutdown {
			w.hole.restarted = "yes"
		}
		w.mu.Unlock()
		w.shutdown, w.fresh = false, false
	}
}

// watchRestart looks at an event for what it says of a restart.
func (s *server) watchRestart(e amiconn.Event) {
	w := &s.watch
	name := e.Frame.Name()
	if w.first {
		w.first = false
		heard := w.heard
		if w.fresh {
			w.fresh, heard = false, s.outbox.lastBefore()
		}
		s.closeHole(time.Now(), w.restarted(e, heard)) // its own time may be that of the login
		w.booted = string(name) == "FullyBooted"
	}
	if string(name) == "Shutdown" {
		w.shutdown = true
	}
	w.heard = e.At
}

// restarted judges by the first event of a session; empty is no answer.
// heard is when the last event before was, or zero if that is not known.
// FullyBooted comes right behind the login of a user who may read system
// events, with the Uptime since Asterisk 14 (manager.c action_login); while
// Asterisk boots it does not.
func (w *restartWatch) restarted(e amiconn.Event, heard time.Time) string {
	if string(e.Frame.Name()) != "FullyBooted" {
		if w.booted {
			return "yes"
		}
		return ""
	}
	uptime, err := strconv.ParseInt(string(e.Frame.Get("Uptime")), 10, 32)
	if err != nil {
		return ""
	}
	// The Uptime is cut to whole seconds: it was started up to one before this,
	// a time of the monotonic clock as all here, which no setting of ours moves.
	started, before := e.At.Add(-time.Duration(uptime)*time.Second), w.started
	w.started = started
	switch {
	case !before.IsZero() && started.Sub(before) > 1500*time.Millisecond:
		return "yes"
	case !before.IsZero():
		return "no"
	case heard.IsZero():
		return ""
	case !started.After(heard):
		return "no"
	case started.Add(-time.Second).After(heard):
		return "yes"
	}
	return ""
}

// closeHole puts the Gap into the outbox, if one is due since before now.
// Without an answer it says what was known when the session was lost.
func (s *server) closeHole(now time.Time, restarted string) {
	w := &s.watch
	if !w.due.Load() {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.hole == nil || w.since.After(now) {
		return
	}
	if restarted != "" {
		w.hole.restarted = restarted
	}
	s.outbox.pushGap(w.session, w.hole)
	s.scheduler.Ready(s.source)
	w.hole = nil
	w.due.Store(false)
}
