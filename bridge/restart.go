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
// Asterisk itself was started anew; so it waits for that one, or for the next
// status interval. The fields belong to the reader and to the supervisor
// between two of them, but for the hole.
type restartWatch struct {
	heard    time.Time // the last event, or the login
	shutdown bool      // Asterisk said that it shuts down
	first    bool      // the next event is the session's first
	booted   bool      // sessions begin with FullyBooted

	due atomic.Bool // there is a hole
	mu  sync.Mutex  // protects the following
	// hole lacks only the answer, and is since when it waits for it.
	hole    *gap
	since   time.Time
	session string
}

// watchSession hears that an event session came or went.
func (s *server) watchSession(c amiconn.Change) {
	w := &s.watch
	switch {
	case c.To == amiconn.StateUp:
		w.mu.Lock()
		if w.hole != nil {
			w.hole.to, w.since, w.session = c.At.UnixNano(), c.At, c.Session
			w.due.Store(true)
		}
		w.mu.Unlock()
		w.first = true
		if w.heard.IsZero() {
			w.heard = c.At
		}
	case c.To == amiconn.StateWaiting && c.Session != "":
		s.closeHole(time.Now(), "unknown") // of the loss before, if no event came
		w.mu.Lock()
		w.hole = &gap{from: w.heard.UnixNano(), reason: string(c.Reason), unknown: true}
		w.mu.Unlock()
	}
}

// watchRestart looks at an event for what it says of a restart.
func (s *server) watchRestart(e amiconn.Event) {
	w := &s.watch
	name := e.Frame.Name()
	if w.first {
		w.first = false
		s.closeHole(e.At, w.restarted(e))
		w.shutdown = false
		w.booted = string(name) == "FullyBooted"
	}
	if string(name) == "Shutdown" {
		w.shutdown = true
	}
	w.heard = e.At
}

// restarted judges by the first event of a session. FullyBooted comes right
// behind the login of a user who may read system events, with the Uptime in
// seconds since Asterisk 14 (manager.c action_login); while Asterisk boots,
// other events come before it.
func (w *restartWatch) restarted(e amiconn.Event) string {
	if string(e.Frame.Name()) == "FullyBooted" {
		uptime, err := strconv.ParseInt(string(e.Frame.Get("Uptime")), 10, 32)
		switch {
		case err == nil && e.At.Add(-time.Duration(uptime)*time.Second).After(w.heard):
			return "yes"
		case err == nil:
			return "no"
		}
	} else if w.booted {
		return "yes"
	}
	if w.shutdown {
		return "yes"
	}
	return "unknown"
}

// closeHole puts the Gap into the outbox, if one is due since before now.
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
	w.hole.restarted = restarted
	s.outbox.pushGap(w.session, w.hole)
	s.scheduler.Ready(s.source)
	w.hole = nil
	w.due.Store(false)
}
