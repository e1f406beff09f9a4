package outbox

// place copies payload into a block and returns where.
func (o *Outbox) place(payload []byte, shed bool) (*block, int) {
	if len(payload) > blockBytes {
		return &block{buf: append([]byte(nil), payload...), live: 1}, 0
	}
	tail := &o.tails[0]
	if shed {
		tail = &o.tails[1] // a block of both would be held by what stays
	}
	if *tail == nil || (*tail).used+len(payload) > len((*tail).buf) {
		size := blockBytes
		if *tail == nil && len(payload) <= smallBytes {
			size = smallBytes
		}
		*tail = o.budget.get(size)
	}
	b := *tail
	offset := b.used
	b.used += copy(b.buf[offset:], payload)
	b.live++
	return b, offset
}

// charge accounts for more bytes, or less.
func (o *Outbox) charge(n int64, must bool) bool {
	if !o.budget.move(o.floor, o.bytes, o.bytes+n, must) {
		return false
	}
	o.bytes += n
	o.highWater = max(o.highWater, o.bytes)
	return true
}

// free gives back what s holds.
func (o *Outbox) free(s *slot) {
	o.charge(-s.cost(), true)
	o.freePayload(s)
}

func (o *Outbox) freePayload(s *slot) {
	if s.block == nil {
		return
	}
	if s.block.live--; s.block.live == 0 {
		for i := range o.tails {
			if s.block == o.tails[i] {
				o.tails[i] = nil
			}
		}
		o.budget.put(s.block)
	}
	s.block = nil
}
