package outbox

import (
	"sync"
	"sync/atomic"
)

// block is a piece of payload memory, given back when no event lies in it.
type block struct {
	buf  []byte
	used int
	live int
}

const (
	blockBytes = 64 << 10
	keptBlocks = 512 // what the pool keeps, 32 MiB
)

// Budget bounds all outboxes together. Each has a floor of its own, so
// that a flood on one can fill the rest and never the room of another.
type Budget struct {
	floor  int64
	shared atomic.Int64 // what is left of the rest

	mu   sync.Mutex // protects the following
	pool []*block
}

// NewBudget divides total bytes among so many servers: half of it in
// equal floors, half for whoever needs more.
func NewBudget(total int64, servers int) *Budget {
	b := &Budget{floor: total / 2 / int64(max(servers, 1))}
	b.shared.Store(total - b.floor*int64(servers))
	return b
}

// move accounts for an outbox that goes from one size to another. It reports
// false, and does nothing, if there is no room; it always makes it for what
// must be noted.
func (b *Budget) move(from, to int64, must bool) bool {
	delta := max(0, to-b.floor) - max(0, from-b.floor)
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

func (b *Budget) get() *block {
	b.mu.Lock()
	defer b.mu.Unlock()
	if n := len(b.pool); n > 0 {
		blk := b.pool[n-1]
		b.pool = b.pool[:n-1]
		return blk
	}
	return &block{buf: make([]byte, blockBytes)}
}

func (b *Budget) put(blk *block) {
	blk.used = 0
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(blk.buf) == blockBytes && len(b.pool) < keptBlocks {
		b.pool = append(b.pool, blk)
	}
}
