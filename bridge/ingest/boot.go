package ingest

import (
	"strconv"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn"
)

// boot is what one session says of when its Asterisk was started. FullyBooted
// has the Uptime, in whole seconds since a start that Asterisk noted by its wall
// clock (manager.c action_login, asterisk.c publish_fully_booted). If that clock
// is set, the Uptime jumps. The wall clock less the Uptime does not: it is the
// noted start, the same for as long as the process lives. A Pong tells that
// clock. So two sessions' starts that lie apart are two processes, and nothing
// else of theirs is as sure.
type boot struct {
	known  bool // FullyBooted has come
	glued  bool // in this session or one before as the first event, right behind the answer to the login
	uptime time.Duration
	timed  bool // of which the Uptime is known
	at     time.Time
	clock  amiconn.Clock // of a Pong, or none
	loads  bool          // an event Load came before FullyBooted
}

// observe takes what an event of that name says, and reports whether it says
// something.
func (b *boot) observe(name []byte, e amiconn.Event, first bool) bool {
	switch {
	case b.known:
		return false
	case string(name) == "Load": // of a module, since Asterisk 16
		b.loads = true
		return true
	case string(name) != "FullyBooted":
		return false
	}
	uptime, err := strconv.ParseInt(string(e.Frame.Get("Uptime")), 10, 32)
	b.known, b.glued, b.at = true, b.glued || first, e.At
	b.uptime, b.timed = time.Duration(uptime)*time.Second, err == nil
	return true
}

// time takes the server's clock, until it is known of the time of FullyBooted,
// and reports whether that helps.
func (b *boot) time(c amiconn.Clock) bool {
	if b.known && !b.clock.Received.IsZero() {
		return false
	}
	b.clock = c
	return b.known
}

// start returns between which times of the server's wall clock Asterisk noted
// its start. The Uptime was taken after the session was connected and before
// FullyBooted was read, the Pong's time after its Ping was sent and before it was
// read, and up to a second of the Uptime is cut off.
func (b *boot) start() (first, last time.Time, ok bool) {
	if !b.timed || b.clock.Received.IsZero() {
		return first, last, false
	}
	first = b.clock.Server.Add(b.clock.Born.Sub(b.clock.Received) - b.uptime - time.Second)
	last = b.clock.Server.Add(b.at.Sub(b.clock.Sent) - b.uptime)
	return first, last, true
}

// restarted says whether Asterisk was started anew since the session of before,
// of which lastSign is the last sign of life, or zero if that is not known: yes, no,
// or empty if it cannot be told. With wait it may be told by what comes next.
func (b *boot) restarted(before *boot, lastSign time.Time) (answer string, wait bool) {
	switch {
	case !b.known && before.known && before.glued:
		// It comes right behind the answer to the login, unless the user may not
		// read class system any more, or Asterisk boots and loads its modules.
		// The one before had booted.
		if b.loads {
			return "yes", false
		}
		return "", true
	case !b.timed:
		return "", false
	}
	first, last, ok := b.start()
	beforeFirst, beforeLast, beforeOK := before.start()
	if beforeOK && !ok {
		return "", true
	}
	seems := b.at.Add(-b.uptime) // the latest that it can have been, as no clock was set
	apart := beforeOK && (first.After(beforeLast) || last.Before(beforeFirst))
	switch {
	case lastSign.IsZero():
		return "", false
	case apart && seems.After(lastSign):
		return "yes", false
	case apart, !beforeOK && seems.After(lastSign):
		return "", false
	}
	return "no", false
}
