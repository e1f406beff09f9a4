package present

import "time"

// life is whether an object is there.
type life uint8

const (
	// dead is an object that has ended, kept as a tombstone or because the bucket
	// may still have it; or one that only the bucket has.
	dead life = iota
	alive
	// half is what events said of an object, since a list was asked for, that
	// nothing has begun yet: the list may.
	half
)

// object is one of Asterisk's, and what is known of its key in the bucket.
type object struct {
	kind   Kind
	list   List
	life   life
	source string // "event" or "list"
	index  string // see appendIndex
	owner  string // Uniqueid, see kind.owner
	vals   packed
	since  int64 // Unix nanoseconds; 0: none
	until  int64
	at     int64

	stamp  uint64        // the event that touched it last
	window uint64        // of its list, in which events told
	fields uint32        // these fields, one bit each
	seen   uint64        // the run that listed it last
	order  int           // where it stood there
	ended  time.Duration // since Present.began, if it is a tombstone
	slot   int           // in its list's objects

	place  int  // of a caller: its Position
	jumped bool // it was let in before others

	uncounted bool // only the bucket has it: no part of the bounds

	revision uint64 // what the bucket had last of it, as far as is known
	looked   uint64 // the look at the bucket by or since which it was there last
	there    bool   // the bucket has it, or may have it
	unfit    bool   // it is larger than the bucket takes; see setUnfit
	inFlight bool
	again    bool          // changed while in flight
	due      time.Duration // when it is to be written

	links [places]link
}

// objectBytes is what an object costs beside its text.
const objectBytes = 384

func (o *object) cost() int64 {
	return int64(objectBytes + 2*len(o.index) + len(o.owner) + cap(o.vals))
}

// place is one of the two chains that an object may stand in at a time.
type place uint8

const (
	toWrite place = iota // soon or later
	toBury               // it is a tombstone
	places
)

// link is where an object stands in a chain; in is nil if it stands in none.
type link struct {
	in         *chain
	prev, next *object
}

// chain is objects in the order in which they came: the first is due first, or is the
// oldest. It needs no memory of its own.
type chain struct {
	place       place
	first, last *object
}

func (c *chain) push(o *object) {
	o.links[c.place] = link{in: c, prev: c.last}
	if c.last != nil {
		c.last.links[c.place].next = o
	} else {
		c.first = o
	}
	c.last = o
}

// unlink takes o out of the chain that it stands in, if it does.
func (o *object) unlink(at place) {
	l := o.links[at]
	if l.in == nil {
		return
	}
	if l.prev != nil {
		l.prev.links[at].next = l.next
	} else {
		l.in.first = l.next
	}
	if l.next != nil {
		l.next.links[at].prev = l.prev
	} else {
		l.in.last = l.prev
	}
	o.links[at] = link{}
}

func (o *object) isBuried() bool { return o.links[toBury].in != nil }

// recent is Uniqueids that have ended, or contacts that their list does not know, by
// their hash: the newest of a session, bounded.
type recent struct {
	at   map[uint64]int // where in the ring
	ring []uint64
	next int
}

// maxRecent is how many ended Uniqueids a session remembers. The oldest is
// forgotten: by then a list that was asked for before its end is long complete.
const maxRecent = 16384

func (r *recent) add(h uint64) {
	if r.holds(h) {
		return
	}
	if r.at == nil {
		r.at = make(map[uint64]int)
	}
	if len(r.ring) < maxRecent {
		r.ring = append(r.ring, 0)
	} else if old := r.ring[r.next]; r.at[old] == r.next {
		delete(r.at, old) // unless it was forgotten and added again
	}
	r.ring[r.next], r.at[h] = h, r.next
	r.next = (r.next + 1) % maxRecent
}

func (r *recent) holds(h uint64) bool {
	_, ok := r.at[h]
	return ok
}

func (r *recent) forget(h uint64) { delete(r.at, h) }

func (r *recent) reset() {
	clear(r.at)
	r.ring, r.next = r.ring[:0], 0
}
