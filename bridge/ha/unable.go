package ha

import (
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/standby"
)

// A bridge may lead a server and be heard, and yet not do what a leader does: its
// connection for events is cut and the one for control is not, the stream takes nothing
// that it sends, its session brings nothing, or it has none for Actions. Then another leads
// that can.

const (
	// muteSpan is for how long one that stood by for that is taken for mute still. It
	// doubles each time, up to maxMuteSpan: what the stream takes shows only when events
	// are sent. One that stores its events for as long again begins anew: a stream that is
	// slow, and not dead, takes some of all. A connection that is made anew ends it.
	muteSpan    = 10 * time.Second
	maxMuteSpan = 32 * time.Minute
)

// link is what a Node asks of a server's Link.
type link struct {
	ping func()      // has the event session ask for a Pong
	acts func() bool // a session for Actions is up
}

// stall is for how long nothing is stored of what a server's leader holds.
type stall struct {
	leads bool
	epoch string
	n     uint64        // of it, that were stored
	since time.Time     // that is so while more wait; zero while none do
	moved time.Time     // when something waited or was stored last
	span  time.Duration // see muteSpan
	until time.Time     // this bridge is mute
	conns uint64        // that there were when it stood by for that
}

// watch looks how far the leader of s has come.
func (n *Node) watch(s *server, now time.Time) {
	s.look()
	w, how := &s.stall, &s.how
	moved := how.Mark.Epoch != w.epoch || how.Mark.N != w.n
	if moved && how.Leads && w.leads {
		n.storedAt = now
	}
	if moved && how.Leads && w.leads && !now.Before(w.until.Add(w.span)) {
		w.span = 0
	}
	if moved || !how.Leads || how.Left == 0 {
		w.since = time.Time{}
	}
	if moved || !how.Leads || how.Left > 0 {
		w.moved = now
	}
	w.leads, w.epoch, w.n = how.Leads, how.Mark.Epoch, how.Mark.N
	if w.leads && how.Left > 0 && w.since.IsZero() {
		w.since = now
	}
}

// stalled reports whether nothing is stored for as long as a silence.
func (w *stall) stalled(silence time.Duration, now time.Time) bool {
	return !w.since.IsZero() && now.Sub(w.since) >= silence
}

// oldest is how old in milliseconds an event is that was read then, at least 1; 0 without one.
func oldest(at int64, now time.Time) int64 {
	if at == 0 {
		return 0
	}
	return lagFor(time.Unix(0, at), now).Milliseconds()
}

// deaf reports whether the session of s, which this bridge leads, has brought nothing for as
// long as a silence, while the heir, who would lead it next, holds an event that is older.
func (n *Node) deaf(s *server, heir string, now time.Time) bool {
	silence := n.o.Config.HASilence
	if !s.led || !s.stall.leads || now.Sub(s.stall.moved) < silence {
		return false
	}
	return n.roster.Oldest(s.Name, heir) >= silence
}

// unable is what this bridge knows that it cannot do of what a leader of s does. The heir
// is who would lead it next.
func (n *Node) unable(s *server, heir string, now time.Time) standby.Unable {
	switch w := &s.stall; {
	case !n.o.Events.Up(), w.stalled(n.o.Config.HASilence, now), !s.led && now.Before(w.until) && w.conns == n.o.Events.Connected():
		return standby.Mute
	case n.deaf(s, heir, now):
		return standby.Deaf
	}
	if link := s.link.Load(); link != nil && !link.acts() {
		return standby.NoActions
	}
	return ""
}

// stood hears that s is led by another from now on.
func (n *Node) stood(s *server, now time.Time) {
	w := &s.stall
	if w.stalled(n.o.Config.HASilence, now) {
		w.span = min(max(2*w.span, muteSpan), maxMuteSpan)
		w.until, w.conns = now.Add(w.span), n.o.Events.Connected()
	}
	w.since = time.Time{}
}
