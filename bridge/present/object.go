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
	told   uint32        // these fields, one bit each
	seen   uint64        // the run that listed it last
	order  int           // where it stood there
	ended  time.Duration // since Present.began, if it is a tombstone
	slot   int           // in its list's objects

	place  int  // of a caller: its Position
	jumped bool // it was let in before others

	uncounted bool // only the bucket has it: no part of the bounds

	there    bool // the bucket has it, or may have it
	inFlight bool
	again    bool          // changed while in flight
	due      time.Duration // when it is to be written
	queue    *chain        // that it waits in, nil: none
	prev     *object
	next     *object

	buried bool // it is a tombstone
	older  *object
	newer  *object
}

// objectBytes is what an object costs beside its text.
const objectBytes = 384

func (o *object) cost() int64 {
	return int64(objectBytes + 2*len(o.index) + len(o.owner) + cap(o.vals))
}

// chain is objects that wait to be written, the first due first. It needs no memory
// of its own.
type chain struct{ first, last *object }

func (c *chain) push(o *object) {
	o.queue, o.prev, o.next = c, c.last, nil
	if c.last != nil {
		c.last.next = o
	} else {
		c.first = o
	}
	c.last = o
}

// unqueue takes o out of the chain that it waits in, if it does.
func (o *object) unqueue() {
	c := o.queue
	if c == nil {
		return
	}
	if o.prev != nil {
		o.prev.next = o.next
	} else {
		c.first = o.next
	}
	if o.next != nil {
		o.next.prev = o.prev
	} else {
		c.last = o.prev
	}
	o.queue, o.prev, o.next = nil, nil, nil
}

// graves are the tombstones, the oldest first.
type graves struct{ first, last *object }

func (g *graves) push(o *object) {
	o.buried, o.older, o.newer = true, g.last, nil
	if g.last != nil {
		g.last.newer = o
	} else {
		g.first = o
	}
	g.last = o
}

func (g *graves) remove(o *object) {
	if !o.buried {
		return
	}
	if o.older != nil {
		o.older.newer = o.newer
	} else {
		g.first = o.newer
	}
	if o.newer != nil {
		o.newer.older = o.older
	} else {
		g.last = o.older
	}
	o.buried, o.older, o.newer = false, nil, nil
}

// recent is Uniqueids that have ended, or contacts that their list does not know, by
// their hash: the newest of a session, bounded.
type recent struct {
	has  map[uint64]struct{}
	ring []uint64
	next int
}

// maxRecent is how many ended Uniqueids a session remembers. The oldest is
// forgotten: by then a list that was asked for before its end is long complete.
const maxRecent = 16384

func (r *recent) add(h uint64) {
	if _, ok := r.has[h]; ok {
		return
	}
	if r.has == nil {
		r.has = make(map[uint64]struct{})
	}
	r.has[h] = struct{}{}
	if len(r.ring) < maxRecent {
		r.ring = append(r.ring, h)
		return
	}
	delete(r.has, r.ring[r.next])
	r.ring[r.next] = h
	r.next = (r.next + 1) % maxRecent
}

func (r *recent) reset() {
	clear(r.has)
	r.ring, r.next = r.ring[:0], 0
}
