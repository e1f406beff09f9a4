package standby

import "time"

// A bridge may lead and not be heard: what bridges say does not pass between the two, and the
// stream does. Who is not heard is taken for dead, so each would claim from the other for ever.
// Who has lost a lead in that way claims again only after a wait that grows, and not at all while
// the other's record is seen to be written anew: that is a sign of life that needs no Heartbeat.

// renewUnable is the age at which one that has no session, or can publish nothing, writes its term
// anew: before the stream takes it away, and when who does not hear it has taken it for dead.
const renewUnable = 105 * time.Second

func renewEvery(v View) time.Duration {
	if !v.Session || v.Unable == Mute {
		return renewUnable
	}
	return renewAfter
}

// goneAfter is after how long whoever leads without being heard is taken for dead, if its record
// is not written anew meanwhile.
const goneAfter = renewAfter + 15*time.Second

// unheard is who leads a server by the record in the stream, and was not heard to.
type unheard struct {
	node   string
	term   uint64    // 0: there is none
	since  time.Time // when its record was seen first
	moved  time.Time // when that was seen to be written last
	stored uint64    // the last event then
	losses int       // leads that this bridge has lost to one that it did not hear
}

// certain is after how many losses whoever leads unheard is left alone for as long as its record is
// written anew. That it stores events shows as much.
const certain = 5

// AsksLife reports whether it matters who stores events: somebody may lead unheard.
func (l *Leading) AsksLife() bool { return l.term == 0 || l.unheard.term != 0 }

// Unheard returns who leads the server and is not heard to, as far as its record shows, and since
// when that is known; "" if there is none.
func (l *Leading) Unheard(now time.Time) (node string, since time.Time) {
	if u := &l.unheard; u.node != l.node && now.Sub(u.moved) < goneAfter+goneAfter/4 {
		return u.node, u.since
	}
	return "", time.Time{}
}

// noteUnheard notes that a record was seen of a claim of which nothing was heard.
func (l *Leading) noteUnheard(now time.Time, e Event) {
	u := &l.unheard
	if l.led {
		u.losses++
	}
	u.node, u.term, u.since, u.moved, u.stored = e.Term.Node, e.Term.Term, now, now, e.Stored
}

// noteLife notes whether the record of whoever leads unheard was written anew, or an event was stored.
func (l *Leading) noteLife(now time.Time, e Event) {
	u := &l.unheard
	if e.Stored > u.stored && u.stored > 0 {
		u.moved, u.losses = now, max(u.losses, certain)
	}
	if e.Seq != l.fence {
		u.moved = now
	}
	u.stored = max(u.stored, e.Stored)
}

// patience is for how long the record of whoever leads unheard must stand still until this bridge
// claims.
func (l *Leading) patience() time.Duration {
	if l.unheard.term == 0 {
		return 0
	}
	return min(l.silence<<min(2*l.unheard.losses, 10), max(goneAfter, l.silence))
}

// isLedUnheard reports whether the record that was seen is of one that leads unheard, and may
// be alive.
func (l *Leading) isLedUnheard(now time.Time, t *Term) bool {
	return t != nil && t.Term == l.unheard.term && now.Sub(l.unheard.moved) < l.patience()
}
