package outbox

import (
	"slices"
	"sync"
	"sync/atomic"
)

// block is a piece of payload memory, given back when no event lies in it.
type block struct {
	buf  []byte
	used int
	live int
}

// Most servers have few events at a time, and a thousand of them one each: a block of smallBytes
// holds those. What does not fit goes on in one of blockBytes.
const (
	blockBytes = 64 << 10
	smallBytes = 4 << 10
)

// Budget bounds all outboxes together. Each has a floor of its own, so
// that a flood on one can fill the rest and never the room of another. Its methods
// may be called from any goroutine.
type Budget struct {
	total  int64
	shared atomic.Int64 // what is left of what no floor is; below zero while floors grow into what is used

	dividing sync.Mutex // protects the following, and is taken before an Outbox's own
	servers  int64
	floor    int64
	members  []*Outbox

	small, large sync.Pool // spare blocks; two collections of garbage take those that nobody wants
}

// NewBudget divides total bytes among so many servers: half of it in
// equal floors, half for whoever needs more.
func NewBudget(total int64, servers int) *Budget {
	b := &Budget{total: total}
	b.shared.Store(total)
	b.Divide(servers)
	return b
}

// Divide divides it among so many servers from now on. An outbox that holds more than
// is left for it keeps what it holds and gets no more.
func (b *Budget) Divide(servers int) {
	b.dividing.Lock()
	defer b.dividing.Unlock()
	n := int64(servers)
	floor := b.total / 2 / max(n, 1)
	b.shared.Add(b.servers*b.floor - n*floor)
	for _, o := range b.members {
		o.refloor(floor)
	}
	b.servers, b.floor = n, floor
}

// join returns the floor of o.
func (b *Budget) join(o *Outbox) (floor int64) {
	b.dividing.Lock()
	defer b.dividing.Unlock()
	b.members = append(b.members, o)
	return b.floor
}

func (b *Budget) leave(o *Outbox) {
	b.dividing.Lock()
	defer b.dividing.Unlock()
	b.members = slices.DeleteFunc(b.members, func(other *Outbox) bool { return other == o })
}

// move accounts for an outbox with that floor that goes from one size to another. It
// reports false, and does nothing, if there is no room; it always makes it for what
// must be noted.
func (b *Budget) move(floor, from, to int64, must bool) bool {
	delta := max(0, to-floor) - max(0, from-floor)
	for {
		left := b.shared.Load()
		if delta > 0 && left < delta && !must {
			return false
		}
		if b.shared.CompareAndSwap(left, left-delta) {
			return true
		}
	}
}

// refloor gives o another floor, and makes the Budget right for it.
func (o *Outbox) refloor(floor int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.budget.shared.Add(max(0, o.bytes-o.floor) - max(0, o.bytes-floor))
	o.floor = floor
}

// Leave ends the Outbox, which is empty, and of which nobody tells more: it has no
// part in its Budget any more.
func (o *Outbox) Leave() { o.budget.leave(o) }

// get returns a block of smallBytes or blockBytes.
func (b *Budget) get(size int) *block {
	if blk, ok := b.pool(size).Get().(*block); ok {
		return blk
	}
	return &block{buf: make([]byte, size)}
}

func (b *Budget) put(blk *block) {
	blk.used = 0
	if pool := b.pool(len(blk.buf)); pool != nil {
		pool.Put(blk)
	}
}

// pool returns where blocks of that size go; nil for one that was made for its event.
func (b *Budget) pool(size int) *sync.Pool {
	switch size {
	case smallBytes:
		return &b.small
	case blockBytes:
		return &b.large
	}
	return nil
}
