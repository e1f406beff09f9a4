package tap

import (
	"iter"
	"sync"
	"sync/atomic"
)

const (
	// tapBytes and tapEvents bound what waits to be taken.
	tapBytes  = 128 << 10
	tapEvents = 512
)

// Tap is the events of one server.
type Tap struct {
	open atomic.Bool // somebody looks

	mu    sync.Mutex // protects the following; held only to copy
	looks int        // that are open
	now   *Batch     // nil while none is
	spare *Batch     // what was taken before, to be used again
}

// Batch is events that came one after the other.
type Batch struct {
	text   []byte
	events []span
	missed uint64
}

// span is where an event is in a Batch's text.
type span struct {
	subject  string
	from, to int
	at       int64
}

// Event is one of a Batch.
type Event struct {
	Subject string
	Payload []byte // as NATS has it; good as long as the Batch
	At      int64  // when it was read, in Unix nanoseconds
}

// Event takes an event. It does not keep payload. A nil Tap takes none.
func (t *Tap) Event(subject string, payload []byte, at int64) {
	if t == nil || !t.open.Load() {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	b := t.now
	if b == nil {
		return
	}
	if len(payload) > cap(b.text)-len(b.text) || len(b.events) == cap(b.events) {
		b.missed++
		return
	}
	from := len(b.text)
	b.text = append(b.text, payload...)
	b.events = append(b.events, span{subject, from, len(b.text), at})
}

// Open has events be kept until they are taken.
func (t *Tap) Open() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.looks++; t.looks == 1 {
		t.now, t.spare = newBatch(), newBatch()
		t.open.Store(true)
	}
}

// Close ends what Open began. It is to be called once for each Open.
func (t *Tap) Close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.looks--; t.looks == 0 {
		t.open.Store(false)
		t.now, t.spare = nil, nil
	}
}

// IsOpen reports whether anybody looks.
func (t *Tap) IsOpen() bool { return t.open.Load() }

// Take returns what came since it was called last; nil if nobody has opened t. The Batch is
// good until the next call, so it is for one goroutine.
func (t *Tap) Take() *Batch {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.now == nil {
		return nil
	}
	taken := t.now
	t.now, t.spare = t.spare, taken
	t.now.reset()
	return taken
}

func newBatch() *Batch {
	return &Batch{text: make([]byte, 0, tapBytes), events: make([]span, 0, tapEvents)}
}

func (b *Batch) reset() {
	clear(b.events)
	b.text, b.events, b.missed = b.text[:0], b.events[:0], 0
}

// Missed is how many events came and did not fit.
func (b *Batch) Missed() uint64 { return b.missed }

// All yields the events in their order.
func (b *Batch) All() iter.Seq[Event] {
	return func(yield func(Event) bool) {
		for _, s := range b.events {
			if !yield(Event{s.subject, b.text[s.from:s.to:s.to], s.at}) {
				return
			}
		}
	}
}
