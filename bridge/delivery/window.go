package delivery

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/natsconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/outbox"
)

const (
	// windowMsgs bounds what is sent and not acknowledged, of all servers
	// together. When it is full the publisher waits and the outboxes fill.
	windowMsgs = 2048
	// sourceMsgs bounds one server's part where each event is acknowledged by
	// itself, so that a server whose events are not leaves room for the others.
	sourceMsgs = windowMsgs / 2
	minRing    = 1 // a thousand idle servers have one each
	// shareBytes is what the servers that have something in flight share of it
	// alike, so that who comes first does not fill the window before the others.
	// One may have a turn's worth in any case, if its outbox is not smaller.
	shareBytes = 1 << 20
)

// sent is a published event that is not acknowledged.
type sent struct {
	at    time.Time
	after uint64 // the stream's last sequence that was heard of then
	bytes int
	acked bool
}

// sourceWindow is one server's part of a window, in the order of sending. Its numbers
// only grow, so an acknowledgement of an earlier attempt is recognized.
type sourceWindow struct {
	outbox     *outbox.Outbox
	limit      int    // of bytes in flight, whatever its share
	ring       []sent // its length is a power of two
	head, tail uint64 // the number of the oldest, of the next
	failure    error  // nothing is sent until reset
	probing    bool   // since a reset nothing was acknowledged: one at a time
	bytes      int    // in flight
	blocked    bool   // the publisher stopped for want of room here
}

// sourceFull reports whether no more of l may be sent for now.
func (w *window) sourceFull(l *sourceWindow) bool {
	if l.tail == l.head {
		return false
	}
	share := min(max(shareBytes/w.active, quantum), l.limit)
	return l.probing || l.bytes >= share || !w.batched && l.tail-l.head >= sourceMsgs
}

func (l *sourceWindow) slot(number uint64) *sent { return &l.ring[number&uint64(len(l.ring)-1)] }

// window is what was sent and not acknowledged. Each server has a part of its
// own, so that what NATS refuses of one holds up no other. The publisher adds,
// whoever hears an acknowledgement takes away.
type window struct {
	timeout    time.Duration    // how long an acknowledgement may take
	lastStored atomic.Uint64    // the greatest sequence of the stream in an acknowledgement
	changed    chan struct{}    // of capacity 1: there is room again, or a failure
	ready      func(source int) // called without the lock: there is room in its part
	domains    domains

	mu       sync.Mutex // protects the following
	sources  []sourceWindow
	batched  bool // all servers' events go as one sequence
	inFlight int
	active   int   // sources with something in flight
	failures []int // sources with a failure that the publisher has not seen
}

func newWindow(ready func(int)) *window {
	return &window{timeout: natsconn.AckTimeout, changed: make(chan struct{}, 1), ready: ready}
}

// place gives the part of that number to o, either the next one or an idle one. Its
// numbers go on. With one more to share with, the others may have less room.
func (w *window) place(number int, o *outbox.Outbox) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if number == len(w.sources) {
		w.sources = append(w.sources, sourceWindow{})
	}
	l := &w.sources[number]
	l.outbox, l.failure, l.probing, l.blocked = o, nil, false, false
	for i := range w.sources {
		w.sources[i].limit = int(w.sources[i].outbox.MayBeSent())
	}
}

// idle reports whether nothing of source is in flight, and nothing of it has failed.
func (w *window) idle(source int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	l := &w.sources[source]
	return l.head == l.tail && l.failure == nil && !l.probing
}

// room reports whether another event of source may be sent.
func (w *window) room(source int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	l := &w.sources[source]
	return l.failure == nil && !w.sourceFull(l) && w.inFlight < windowMsgs
}

// open reports whether source, at the end of its turn, waits at most for the
// window as a whole. If its own part is full it is made ready when there is
// room again; after a failure its reset makes it ready.
func (w *window) open(source int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	l := &w.sources[source]
	l.blocked = w.sourceFull(l)
	return l.failure == nil && !l.blocked
}

// add notes that the next event of source, of so many bytes, is being sent now, and
// returns its number.
func (w *window) add(source, bytes int, now time.Time) uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	l := &w.sources[source]
	if l.tail-l.head == uint64(len(l.ring)) {
		ring := make([]sent, max(minRing, 2*len(l.ring)))
		for n := l.head; n < l.tail; n++ {
			ring[n&uint64(len(ring)-1)] = *l.slot(n)
		}
		l.ring = ring
	}
	if l.head == l.tail {
		w.active++
	}
	*l.slot(l.tail) = sent{at: now, after: w.lastStored.Load(), bytes: bytes}
	l.tail++
	l.bytes += bytes
	w.inFlight++
	return l.tail - 1
}

// observe notes the sequence of an acknowledgement: what is sent later for the first
// time is stored behind it.
func (w *window) observe(sequence uint64) {
	for old := w.lastStored.Load(); sequence > old && !w.lastStored.CompareAndSwap(old, sequence); {
		old = w.lastStored.Load()
	}
}

// ack notes that the event called number is safe, and releases what now is at
// the head of its part.
func (w *window) ack(source int, number uint64) {
	w.mu.Lock()
	l := w.waitingFor(source, number)
	unblocked := false
	if l != nil {
		l.slot(number).acked = true
		unblocked = w.advance(l)
	}
	w.mu.Unlock()
	if unblocked {
		w.ready(source)
	}
	w.signal()
}

// refuse gives up the event called number, which NATS will never take for why: held on
// to, it would hold up all others of its server. A Gap takes its place, and all
// is sent again from the oldest on. A Gap that is too large itself waits until NATS takes it,
// for nothing that is smaller could tell what it does.
func (w *window) refuse(source int, number uint64, why error) {
	w.mu.Lock()
	if l := w.waitingFor(source, number); l != nil && !l.slot(number).acked {
		if l.outbox.RefuseSent(int(number - l.head)) {
			why = fmt.Errorf("%w: %w", errRefused, why)
		}
		w.failSource(source, why)
	}
	w.mu.Unlock()
	w.signal()
}

// errRefused is the failure of a server whose event was given up.
var errRefused = errors.New("an event is too large for NATS")

// waitingFor returns the part of source if number is in flight there, else nil.
func (w *window) waitingFor(source int, number uint64) *sourceWindow {
	if source < 0 || source >= len(w.sources) {
		return nil
	}
	if l := &w.sources[source]; number >= l.head && number < l.tail {
		return l
	}
	return nil
}

// ackAll notes that everything sent is safe, but for the servers that failed.
func (w *window) ackAll() {
	w.mu.Lock()
	var unblocked []int
	for i := range w.sources {
		l := &w.sources[i]
		if l.failure != nil || l.head == l.tail {
			continue
		}
		for n := l.head; n < l.tail; n++ {
			l.slot(n).acked = true
		}
		if w.advance(l) {
			unblocked = append(unblocked, i)
		}
	}
	w.mu.Unlock()
	for _, source := range unblocked {
		w.ready(source)
	}
	w.signal()
}

// advance reports whether the publisher waited for this room.
func (w *window) advance(l *sourceWindow) (unblocked bool) {
	head, acked := l.head, 0
	for l.head < l.tail && l.slot(l.head).acked {
		acked += l.slot(l.head).bytes
		l.outbox.Ack()
		l.head++
		w.inFlight--
	}
	if l.head == head {
		return false
	}
	if l.bytes -= acked; l.head == l.tail {
		w.active--
	}
	l.probing = false
	unblocked, l.blocked = l.blocked, false
	return unblocked
}

// fail notes a failure of source. The first since its last reset is kept.
func (w *window) fail(source int, err error) {
	w.mu.Lock()
	w.failSource(source, err)
	w.mu.Unlock()
	w.signal()
}

// failNumber is fail for the event called number, if it is still waited for.
func (w *window) failNumber(source int, number uint64, err error) {
	w.mu.Lock()
	if w.waitingFor(source, number) != nil {
		w.failSource(source, err)
	}
	w.mu.Unlock()
	w.signal()
}

// failAll notes a failure of every server that has something in flight.
func (w *window) failAll(err error) {
	w.mu.Lock()
	for i := range w.sources {
		if w.sources[i].head < w.sources[i].tail {
			w.failSource(i, err)
		}
	}
	w.mu.Unlock()
	w.signal()
}

// expire fails the servers whose oldest has waited for too long, and reports
// whether there was one. Those that have failed wait for their next try, be that late.
func (w *window) expire(now time.Time) (any bool) {
	w.mu.Lock()
	for i := range w.sources {
		if l := &w.sources[i]; l.failure == nil && l.head < l.tail && now.Sub(l.slot(l.head).at) > w.timeout {
			w.failSource(i, errAckTimeout)
			any = true
		}
	}
	w.mu.Unlock()
	w.signal()
	return any
}

var errAckTimeout = errors.New("no acknowledgement in time")

func (w *window) failSource(source int, err error) {
	if l := &w.sources[source]; l.failure == nil {
		l.failure = err
		w.failures = append(w.failures, source)
	}
}

// takeFailures appends the sources that have failed since the last call.
func (w *window) takeFailures(to []int) []int {
	w.mu.Lock()
	defer w.mu.Unlock()
	to = append(to, w.failures...)
	w.failures = w.failures[:0]
	return to
}

// reset forgets what source has sent: all of it will be sent again. The first goes
// alone, until it is acknowledged, for two reasons. Subscribers should not hear
// everything once more at each try. And outside of a batch, if the stream comes back
// in between, it would store the later ones before the first.
func (w *window) reset(source int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	l := &w.sources[source]
	if l.head < l.tail {
		w.active--
	}
	w.inFlight -= int(l.tail - l.head)
	l.head, l.failure, l.probing, l.bytes, l.blocked = l.tail, nil, true, 0, false
}

// rewind has the outbox of source go back to the oldest that is not acknowledged.
// Late words of what was in flight find nothing there until the next reset.
func (w *window) rewind(source int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	l := &w.sources[source]
	var d *outbox.Doubt
	if l.head < l.tail {
		oldest := l.slot(l.head)
		d = &outbox.Doubt{Since: oldest.at, After: oldest.after}
	}
	l.outbox.Rewind(d, func(i int) bool { return l.slot(l.head + uint64(i)).acked })
}

// endProbing ends the probing of source, which has nothing to send.
func (w *window) endProbing(source int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sources[source].probing = false
}

// state returns the failure of source and whether it still probes.
func (w *window) state(source int) (failure error, probing bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.sources[source].failure, w.sources[source].probing
}

// setBatched says whether all servers' events go as one sequence from now on.
func (w *window) setBatched(batched bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.batched = batched
}

func (w *window) full() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.inFlight >= windowMsgs
}

func (w *window) signal() {
	select {
	case w.changed <- struct{}{}:
	default:
	}
}

// isDisconnected reports whether err only says that the connection is down, which the
// connection itself tells.
func isDisconnected(err error) bool {
	return errors.Is(err, nats.ErrDisconnected) || errors.Is(err, nats.ErrReconnectBufExceeded) || errors.Is(err, nats.ErrConnectionClosed)
}
