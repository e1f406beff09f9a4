package bridge

import (
	"errors"
	"sync"
	"time"
)

// sent is a published event that is not acknowledged.
type sent struct {
	source int
	pos    uint64
	at     time.Time
	acked  bool
}

// window is what was sent and not acknowledged, in the order of sending. The
// publisher adds, whoever hears an acknowledgement takes away.
type window struct {
	outboxes []*outbox
	changed  chan struct{} // of capacity 1: there is room again, or a failure

	mu      sync.Mutex // protects the following
	ring    [windowMsgs]sent
	head    uint64 // the number of the oldest
	tail    uint64 // the number of the next
	failure error
	acked   bool // something was, since progressed was asked
}

// add notes that the event at pos is being sent, and returns its number.
func (w *window) add(source int, pos uint64) uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	number := w.tail
	w.ring[number%windowMsgs] = sent{source: source, pos: pos, at: time.Now()}
	w.tail++
	return number
}

// ack notes that the event called number is safe, and releases what now is at
// the head. A number from before a reset is none of ours any more.
func (w *window) ack(number uint64) {
	w.mu.Lock()
	if number >= w.head && number < w.tail {
		w.ring[number%windowMsgs].acked = true
		w.advance()
	}
	w.mu.Unlock()
	w.signal()
}

// refuse gives up the event called number, which NATS will never take: held on
// to, it would hold up all others.
func (w *window) refuse(number uint64) {
	w.mu.Lock()
	if number >= w.head && number < w.tail {
		s := w.ring[number%windowMsgs]
		w.outboxes[s.source].refuseAt(s.pos)
	}
	w.mu.Unlock()
	w.ack(number)
}

// ackAll notes that everything sent is safe.
func (w *window) ackAll() {
	w.mu.Lock()
	for number := w.head; number < w.tail; number++ {
		w.ring[number%windowMsgs].acked = true
	}
	w.advance()
	w.mu.Unlock()
	w.signal()
}

func (w *window) advance() {
	for w.head < w.tail {
		s := &w.ring[w.head%windowMsgs]
		if !s.acked {
			return
		}
		w.outboxes[s.source].ack(s.pos)
		w.acked = true
		w.head++
	}
}

// fail notes a failure. The first since the last reset is the one to tell.
func (w *window) fail(err error) {
	w.mu.Lock()
	if w.failure == nil {
		w.failure = err
	}
	w.mu.Unlock()
	w.signal()
}

// failNumber is fail for the event called number, if it is still waited for.
func (w *window) failNumber(number uint64, err error) {
	w.mu.Lock()
	known := number >= w.head && number < w.tail
	if known && w.failure == nil {
		w.failure = err
	}
	w.mu.Unlock()
	w.signal()
}

// expire fails if the oldest has waited for too long.
func (w *window) expire(now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.head < w.tail && w.failure == nil && now.Sub(w.ring[w.head%windowMsgs].at) > ackTimeout {
		w.failure = errAckTimeout
	}
}

var errAckTimeout = errors.New("no acknowledgement in time")

// reset forgets everything that was sent; it will be sent again.
func (w *window) reset() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.head, w.failure = w.tail, nil
}

// progressed reports whether something was acknowledged since the last call and
// nothing has failed.
func (w *window) progressed() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	acked := w.acked && w.failure == nil
	w.acked = false
	return acked
}

func (w *window) failed() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.failure
}

// oldest returns the number of the oldest that is not acknowledged.
func (w *window) oldest() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.head
}

func (w *window) full() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.tail-w.head == windowMsgs
}

func (w *window) empty() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.tail == w.head
}

func (w *window) signal() {
	select {
	case w.changed <- struct{}{}:
	default:
	}
}
