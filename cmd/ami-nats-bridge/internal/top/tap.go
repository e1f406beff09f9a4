package top

import (
	"slices"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/view"
)

// Tapping is how the events of one server are seen through a filter.
type Tapping struct {
	Subject string // of what comes
	// Event is what is to be seen of a message; false if the filter hides it. It is called
	// on a goroutine of NATS, one message at a time.
	Event func(*nats.Msg) (Event, bool)
	Note  string // why the filter may match nothing
}

// Event is one that a server has sent.
type Event struct {
	At     time.Time
	Name   string
	Gap    bool
	Says   string // what matters of it
	Fields []Field
}

// size is how many bytes of text e has.
func (e *Event) size() int {
	n := len(e.Name) + len(e.Says)
	for _, f := range e.Fields {
		n += len(f.Name) + len(f.Value)
	}
	return n
}

// Field is a header of an event.
type Field struct{ Name, Value string }

// Tapped is what has come since it was begun to look.
type Tapped struct {
	Subject string
	Events  []Event // the newest first
	Seen    uint64  // those that the filter lets through
	Of      uint64
	Note    string // what is wrong, or may be
}

const (
	tapEvents = 500     // that are kept; the oldest goes
	tapQueue  = 4096    // messages that wait to be seen; more are not seen, and that is said
	tapBytes  = 8 << 20 // the same, and of those that are kept
)

// tap is a look at the events of one server.
type tap struct {
	server, filter string
	how            *Tapping
	sub            *nats.Subscription
	events         []Event // the oldest first
	bytes          int     // of them
	seen, of       uint64
	note           string
	away           time.Time // since when nothing is seen, for NATS is away; zero if it is there
}

// lost notes that nothing is seen from now on. A nil tap is none, as of the following.
func (t *tap) lost(now time.Time) {
	if t != nil && t.sub != nil && t.away.IsZero() {
		t.away = now
	}
}

// back has a line say where events may be that were not seen.
func (t *tap) back(now time.Time) {
	if t != nil && !t.away.IsZero() {
		t.keep(Event{At: now, Gap: true, Name: "NOT SEEN", Says: "NATS was away for " + view.Age(now.Sub(t.away))})
		t.away = time.Time{}
	}
}

// keep has e be the newest.
func (t *tap) keep(e Event) {
	t.events = append(t.events, e)
	t.bytes += e.size()
	old := 0
	for len(t.events)-old > tapEvents || t.bytes > tapBytes && old < len(t.events)-1 {
		t.bytes -= t.events[old].size()
		old++
	}
	t.events = slices.Delete(t.events, 0, old)
}

// have notes the connection by which events come. Who asked for some before it was there gets them.
func (r *Reader) have(nc *nats.Conn) {
	r.tapping.Lock()
	defer r.tapping.Unlock()
	r.mu.Lock()
	r.conn = nc
	t := r.tap
	r.mu.Unlock()
	if nc != nil && t != nil {
		r.look(t.server, t.filter)
	}
}

// Tap implements Feed: it has the events of a server looked at through a filter, in place
// of those before; of none, if server is empty.
func (r *Reader) Tap(server, filter string) {
	r.tapping.Lock()
	defer r.tapping.Unlock()
	r.look(server, filter)
}

// look is Tap, one at a time.
func (r *Reader) look(server, filter string) {
	r.mu.Lock()
	before := r.tap
	r.tap = nil
	nc := r.conn
	r.mu.Unlock()
	if before != nil && before.sub != nil {
		_ = before.sub.Unsubscribe() // of a connection that is gone it has ended
	}
	if server == "" {
		return
	}
	t := &tap{server: server, filter: filter}
	switch {
	case r.opts.Tap == nil || r.opts.Connect == nil:
		t.note = "events come by NATS, and the bridge alone is asked"
	case nc == nil:
		t.note = "NATS is not connected"
	default:
		t.note = r.begin(t, nc)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tap = t
}

// begin subscribes for t, and returns what is wrong, or may be.
func (r *Reader) begin(t *tap, nc *nats.Conn) (note string) {
	how, err := r.opts.Tap(t.server, t.filter)
	if err != nil {
		return err.Error()
	}
	t.how = how
	r.mu.Lock()
	r.tapOn, r.tapDenied = how.Subject, ""
	r.mu.Unlock()
	t.sub, err = nc.Subscribe(how.Subject, func(m *nats.Msg) { r.tapped(t, m) })
	if err == nil {
		err = t.sub.SetPendingLimits(tapQueue, tapBytes)
	}
	if err != nil {
		return reasonOf(err)
	}
	return how.Note
}

func (r *Reader) tapped(t *tap, m *nats.Msg) {
	e, ok := t.how.Event(m)
	r.mu.Lock()
	defer r.mu.Unlock()
	if t.of++; !ok {
		return
	}
	t.seen++
	t.keep(e)
}

// Events implements Feed.
func (r *Reader) Events() Tapped {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.tap
	if t == nil {
		return Tapped{}
	}
	seen := Tapped{Seen: t.seen, Of: t.of, Note: t.note, Events: slices.Clone(t.events)}
	slices.Reverse(seen.Events)
	if t.how != nil {
		seen.Subject = t.how.Subject
	}
	if t.sub != nil {
		if n, err := t.sub.Dropped(); err == nil && n > 0 {
			seen.Note = "too fast to be seen: " + number(n) + " are left out"
		}
	}
	if now := time.Now(); t.sub != nil && r.up && !r.lastMessage.IsZero() && !r.receives(now) {
		seen.Note = "no bridge has said anything for " + view.Age(now.Sub(r.lastMessage)) + ": events may be late, or not come"
	}
	if t.sub != nil && r.tapDenied != "" {
		seen.Note = r.tapDenied
	}
	if !t.away.IsZero() {
		seen.Note = "NATS is away: nothing is seen for " + view.Age(time.Since(t.away))
	}
	return seen
}
