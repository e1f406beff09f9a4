package correlation

import "github.com/ami-nats-bridge/ami-nats-bridge/frames"

// A block of Output ends at whichever comes first.
const (
	partLines = 200
	partBytes = 64 << 10
)

// handOut hands out what f, which has just been delivered, has for the stream p,
// and calls Done if p has ended, by f or meanwhile. It is called without the
// lock; p.handing keeps every other goroutine from Done until then.
func (t *Table) handOut(p *pending, f *frames.Frame) {
	h := hand{p: p, charset: t.charset, limit: t.limits.ReplyBytes}
	taken := false
	defer func() {
		if t.handed(p, &h, taken) {
			p.Done(&p.Result)
		}
	}()
	if f.Kind() == frames.KindEvent {
		taken = h.event(f)
	} else {
		taken = h.output(f)
	}
}

// handed counts what was handed out and reports whether p has ended.
func (t *Table) handed(p *pending, h *hand, taken bool) (over bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p.handing = false
	p.Parts += h.parts
	p.EventCount += h.events
	p.OutputLines += h.lines
	t.replaced += uint64(h.replaced)
	p.partSize = cap(p.part)
	t.account(p)
	if !taken {
		t.discard(p, h.cause())
	}
	if p.over {
		if p.Outcome == Answered || p.Outcome == AsteriskError {
			if p.Outcome = p.verdict(); p.Outcome == TooLarge {
				p.Cause = p.spoilt
			}
		}
		t.dropPart(p)
	}
	return p.over
}

// dropPart forgets the buffer of an ended stream, unless it is in use.
func (t *Table) dropPart(p *pending) {
	if p.handing || p.part == nil {
		return
	}
	p.part, p.partSize = nil, 0
	t.account(p)
}

// hand is one delivered frame on its way to Call.Part, and what of it was taken.
type hand struct {
	p       *pending
	charset frames.Charset
	limit   int // of one Part in bytes

	parts, events, lines, replaced int
	large                          bool // a Part was over the limit
}

// cause is why a Part was not taken.
func (h *hand) cause() error {
	if h.large {
		return ErrReplyFull
	}
	return ErrPartRefused
}

func (h *hand) event(f *frames.Frame) (taken bool) {
	h.p.part, h.replaced = frames.AppendJSON(h.p.part[:0], f, h.charset)
	if !h.give(Part{Event: h.p.part}) {
		return false
	}
	h.events++
	return true
}

// output hands out the Output headers of f in blocks.
func (h *hand) output(f *frames.Frame) (taken bool) {
	block, lines := h.p.part[:0], 0
	defer func() { h.p.part = block[:0] }()
	for i := range f.Headers {
		if !isOutput(&f.Headers[i]) {
			continue
		}
		before := len(block)
		if lines > 0 {
			block = append(block, ',')
		}
		var replaced int
		block, replaced = frames.AppendJSONString(block, f.Headers[i].Value, h.charset)
		h.replaced += replaced
		if lines > 0 && len(block) > partBytes {
			if !h.give(Part{Output: block[:before], OutputLines: lines}) {
				return false
			}
			block = block[:copy(block, block[before+1:])]
			lines = 0
		}
		if lines++; lines == partLines {
			if !h.give(Part{Output: block, OutputLines: lines}) {
				return false
			}
			block, lines = block[:0], 0
		}
	}
	return lines == 0 || h.give(Part{Output: block, OutputLines: lines})
}

func (h *hand) give(part Part) (taken bool) {
	h.large = len(part.Event)+len(part.Output) > h.limit
	if h.large || !h.p.Part(part) {
		return false
	}
	h.parts++
	h.lines += part.OutputLines
	return true
}
