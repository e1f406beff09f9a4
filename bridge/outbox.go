package bridge

import (
	"maps"
	"sync"
	"sync/atomic"
)

// outboxEntry is what an outbox knows of an event beside its payload.
type outboxEntry struct {
	subject string
	session string // token of the login it came by
	seq     uint64 // its number there, 0 for a Gap
	at      int64  // when it was read, Unix nanoseconds
}

// The reasons for a drop.
const (
	dropOverflow = "overflow" // the server's outbox was full
	dropTotal    = "total"    // all outboxes together were
	dropOversize = "oversize" // larger than a frame or a message may be
)

// entryBytes is what an entry costs beside its payload.
const entryBytes = 96

// outbox holds one server's events until NATS has acknowledged them: a ring
// with three cursors, acked <= next <= free. Positions only grow, so that a
// late acknowledgement of something long gone does no harm. It is bounded in
// bytes. When it is full the oldest event is dropped and counted, whether or
// not it has been sent, so push never waits. Memory follows the load: payloads
// lie in blocks that go back to a common pool.
type outbox struct {
	limit  int64
	budget *outboxBudget

	mu        sync.Mutex // protects the following
	ring      []slot     // its length is a power of two
	acked     uint64     // the oldest position that is held
	next      uint64     // the next position to send
	free      uint64     // the next position to fill
	tail      *block     // the block being filled
	bytes     int64
	highWater int64
	received  uint64
	published uint64
	filtered  uint64
	dropped   map[string]uint64
}

type slot struct {
	outboxEntry
	refused bool // NATS will never take it: too large
	block   *block
	offset  int
	size    int
}

// block is a piece of payload memory, given back when no entry lies in it.
type block struct {
	buf  []byte
	used int
	live int
}

const (
	blockBytes = 64 << 10
	minRing    = 64
	keptRing   = 4096 // a larger ring is given back when the outbox is empty
	keptBlocks = 512  // what the pool keeps, 32 MiB
)

// outboxBudget bounds all outboxes together. Each has a floor of its own, so
// that a flood on one can fill the rest and never the room of another.
type outboxBudget struct {
	floor  int64
	shared atomic.Int64 // what is left of the rest

	mu   sync.Mutex // protects the following
	pool []*block
}

// newOutboxBudget divides total bytes among so many servers: half of it in
// equal floors, half for whoever needs more.
func newOutboxBudget(total int64, servers int) *outboxBudget {
	b := &outboxBudget{floor: total / 2 / int64(max(servers, 1))}
	b.shared.Store(total - b.floor*int64(servers))
	return b
}

// move accounts for an outbox that goes from one size to another. It reports
// false, and does nothing, if there is no room.
func (b *outboxBudget) move(from, to int64) bool {
	delta := max(0, to-b.floor) - max(0, from-b.floor)
	for {
		left := b.shared.Load()
		if delta > 0 && left < delta {
			return false
		}
		if b.shared.CompareAndSwap(left, left-delta) {
			return true
		}
	}
}

func (b *outboxBudget) get() *block {
	b.mu.Lock()
	defer b.mu.Unlock()
	if n := len(b.pool); n > 0 {
		blk := b.pool[n-1]
		b.pool = b.pool[:n-1]
		return blk
	}
	return &block{buf: make([]byte, blockBytes)}
}

func (b *outboxBudget) put(blk *block) {
	blk.used = 0
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(blk.buf) == blockBytes && len(b.pool) < keptBlocks {
		b.pool = append(b.pool, blk)
	}
}

func newOutbox(limit int, budget *outboxBudget) *outbox {
	return &outbox{
		limit: int64(limit), budget: budget, ring: make([]slot, minRing),
		// The reasons exist from the start, so that absence never means zero.
		dropped: map[string]uint64{dropOverflow: 0, dropTotal: 0, dropOversize: 0},
	}
}

// push copies an event in. It never waits: what does not fit pushes out the
// oldest, and is dropped itself only if it could never fit.
func (o *outbox) push(e outboxEntry, payload []byte) {
	cost := int64(len(payload) + entryBytes)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.received++
	if cost > o.limit {
		o.dropped[dropOversize]++
		return
	}
	for o.bytes+cost > o.limit {
		o.dropOldest(dropOverflow)
	}
	for !o.budget.move(o.bytes, o.bytes+cost) {
		if o.acked == o.free {
			o.dropped[dropTotal]++
			return
		}
		o.dropOldest(dropTotal)
	}
	o.bytes += cost
	o.highWater = max(o.highWater, o.bytes)
	if o.free-o.acked == uint64(len(o.ring)) {
		o.grow()
	}
	s := o.slot(o.free)
	s.outboxEntry, s.size = e, len(payload)
	s.block, s.offset = o.place(payload)
	o.free++
}

// refuse counts an event that never came to push: filtered, or dropped for
// reason.
func (o *outbox) refuse(reason string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.received++
	if reason == "" {
		o.filtered++
		return
	}
	o.dropped[reason]++
}

func (o *outbox) slot(pos uint64) *slot { return &o.ring[pos&uint64(len(o.ring)-1)] }

func (o *outbox) grow() {
	ring := make([]slot, 2*len(o.ring))
	for pos := o.acked; pos < o.free; pos++ {
		ring[pos&uint64(len(ring)-1)] = *o.slot(pos)
	}
	o.ring = ring
}

// place copies payload into a block and returns where.
func (o *outbox) place(payload []byte) (*block, int) {
	if len(payload) > blockBytes {
		return &block{buf: append([]byte(nil), payload...), live: 1}, 0
	}
	if o.tail == nil || o.tail.used+len(payload) > len(o.tail.buf) {
		o.tail = o.budget.get()
	}
	b := o.tail
	offset := b.used
	b.used += copy(b.buf[offset:], payload)
	b.live++
	return b, offset
}

func (o *outbox) dropOldest(reason string) {
	o.dropped[reason]++
	o.release()
}

// release frees the oldest entry.
func (o *outbox) release() {
	s := o.slot(o.acked)
	size := o.bytes - int64(s.size+entryBytes)
	o.budget.move(o.bytes, size)
	o.bytes = size
	if s.block.live--; s.block.live == 0 {
		if s.block == o.tail {
			o.tail = nil
		}
		o.budget.put(s.block)
	}
	*s = slot{}
	o.acked++
	o.next = max(o.next, o.acked)
	if o.acked == o.free && len(o.ring) > keptRing {
		o.ring = make([]slot, minRing)
	}
}

// take copies the next event to send into scratch, so that whatever is dropped
// meanwhile cannot change what is being published, and moves on. It reports
// false if there is none.
func (o *outbox) take(scratch []byte) (e outboxEntry, payload []byte, pos uint64, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.next == o.free {
		return outboxEntry{}, scratch[:0], 0, false
	}
	pos = o.next
	s := o.slot(pos)
	o.next++
	return s.outboxEntry, append(scratch[:0], s.block.buf[s.offset:s.offset+s.size]...), pos, true
}

// ack releases everything up to pos as published. What was dropped meanwhile
// stays dropped.
func (o *outbox) ack(pos uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for o.acked <= pos && o.acked < o.next {
		if o.slot(o.acked).refused {
			o.dropped[dropOversize]++
		} else {
			o.published++
		}
		o.release()
	}
}

// refuseAt notes that NATS will never take the event at pos, so that its ack
// counts as a drop.
func (o *outbox) refuseAt(pos uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if pos >= o.acked && pos < o.next {
		o.slot(pos).refused = true
	}
}

// rewind makes everything that is not acknowledged to be sent again, and
// reports whether there is any.
func (o *outbox) rewind() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.next = o.acked
	return o.next < o.free
}

// waiting reports whether something is to be sent.
func (o *outbox) waiting() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.next < o.free
}

// account is an outbox at one moment. The law holds in each:
// received = published + dropped + filtered + queued + inFlight.
type account struct {
	received, published, filtered, queued, inFlight uint64
	dropped                                         map[string]uint64
	bytes, highWater                                int64
}

func (o *outbox) account() account {
	o.mu.Lock()
	defer o.mu.Unlock()
	return account{
		received: o.received, published: o.published, filtered: o.filtered,
		queued: o.free - o.next, inFlight: o.next - o.acked,
		dropped: maps.Clone(o.dropped), bytes: o.bytes, highWater: o.highWater,
	}
}
