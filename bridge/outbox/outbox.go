package outbox

import (
	"maps"
	"sync"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/deque"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/standby"
)

// Entry is what an outbox knows of an event beside its payload.
type Entry struct {
	Subject string
	Session string // token of the login it came by; with HA the epoch
	Seq     uint64 // its number there, 0 for a Gap
	Hash    uint64 // with HA: of the payload
	Gap     uint64 // the number of a Gap among those of its outbox
	At      int64  // when it was read, Unix nanoseconds
}

// The reasons for a drop.
const (
	DropOverflow = "overflow" // the server's outbox was full
	DropTotal    = "total"    // all outboxes together were
	DropShed     = "shed"     // SHED_FIRST named it, and the outbox was filling
	DropOversize = "oversize" // larger than a frame or a message may be
	DropCorrupt  = "corrupt"  // neither Event nor Response
	DropPanic    = "panic"    // its handler panicked
)

// EntryBytes is what an entry costs beside its payload.
const EntryBytes = 128

// Outbox holds one server's events until NATS has acknowledged them, in order:
// those that are in flight, those that were before a failure, those that wait.
// It is bounded in bytes. When it is full, push never waits: the oldest that
// wait are dropped, and a Gap takes their place. What has been sent is not
// dropped: it may be stored, and would be counted as lost. The window bounds it.
// Memory follows the load: payloads lie in blocks that go back to a common pool.
type Outbox struct {
	subject string // of its Gaps
	budget  *Budget
	notify  func() // called with mu held when the level changes; must not wait

	mu         sync.Mutex // protects the following
	share      *share     // nil unless several bridges share the server
	limit      int64
	floor      int64 // of it, what is its own whatever others have
	sent       deque.Deque[slot]
	retry      deque.Deque[slot] // sent before a failure
	waiting    deque.Deque[slot]
	tails      [2]*block // being filled: with what stays, with what is shed first
	shedding   *Gap      // in waiting, not published: takes what else is shed
	sheddable  int       // in waiting
	tombstones int       // in waiting
	gaps       uint64    // numbered so far
	known      bool      // past is, see SetLastBefore
	past       int64     // when the last event before this process was; 0: none
	level      Level
	bytes      int64
	highWater  int64
	received   uint64
	published  uint64
	filtered   uint64
	queued     uint64
	inFlight   uint64
	resent     uint64
	dropped    map[string]uint64
}

// slot is an event, a Gap, or what is left of an event that was shed.
type slot struct {
	Entry
	gap       *Gap
	tombstone bool
	shed      bool   // may be shed
	doubt     *Doubt // nil if it was never sent, or is in flight for the first time
	block     *block
	offset    int
	size      int
}

func (s *slot) cost() int64 {
	if s.gap != nil {
		return EntryBytes + gapBytes
	}
	return int64(s.size + EntryBytes)
}

// New returns an Outbox of so many bytes, which budget bounds too. Its Gaps go to
// subject. notify is called when its Level changes, and must not wait.
func New(limit int, subject string, budget *Budget, notify func()) *Outbox {
	o := &Outbox{
		limit: int64(limit), subject: subject, budget: budget, notify: notify,
		// The reasons exist from the start, so that absence never means zero.
		dropped: map[string]uint64{
			DropOverflow: 0, DropTotal: 0, DropShed: 0, DropOversize: 0, DropCorrupt: 0, DropPanic: 0,
		},
	}
	o.floor = budget.join(o)
	return o
}

// SetLimit bounds the Outbox by so many bytes from now on. What it holds beyond them
// stays until the next event comes.
func (o *Outbox) SetLimit(limit int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.limit = int64(limit)
}

// MayBeSent is how many bytes should be in flight at most: half of the room that
// this outbox has for certain. What is in flight cannot be dropped. So a full outbox
// always has older events that wait, and drops those to keep the newest.
func (o *Outbox) MayBeSent() int64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return min(o.limit, o.floor) / 2
}

// Push copies an event in. It never waits: what does not fit pushes out the
// oldest, and is dropped itself only if it could never fit, or is to be shed
// before others.
func (o *Outbox) Push(e Entry, payload []byte, shed bool) {
	s := slot{Entry: e, size: len(payload), shed: shed}
	if o.share != nil {
		s.Hash = standby.Hash(payload)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.received++
	if s.cost() > o.limit {
		o.lose(e, DropOversize)
		return
	}
	if o.share != nil && !o.read(&s) {
		return
	}
	if o.bytes+s.cost() > o.limit/5*4 && (shed || o.sheddable > 0) {
		if shed {
			o.shed(nil, e)
			return
		}
		o.shedOldest()
	}
	for o.bytes+s.cost() > o.limit {
		if !o.dropOldest(DropOverflow) {
			o.lose(e, DropOverflow) // all else is in flight
			return
		}
	}
	for !o.charge(s.cost(), false) {
		if !o.dropOldest(DropTotal) {
			if o.share != nil && o.share.leads == nil {
				o.forgo()
				return
			}
			o.lose(e, DropTotal)
			return
		}
	}
	s.block, s.offset = o.place(payload, shed)
	o.waiting.PushBack(s)
	o.queued++
	if shed {
		o.sheddable++
	}
	o.updateLevel(false)
}

// Filter counts an event that is not wanted.
func (o *Outbox) Filter() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.received++
	o.filtered++
}

// Refuse drops an event that is too large to be ever published. A Gap takes its
// place.
func (o *Outbox) Refuse(e Entry) { o.RefuseAs(e, DropOversize) }

// RefuseAs is refuse for another reason.
func (o *Outbox) RefuseAs(e Entry, reason string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.received++
	o.lose(e, reason)
}

// PushGap puts a hole behind all that is there.
func (o *Outbox) PushGap(session string, gap *Gap) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.share != nil && !o.asks(gap) {
		return
	}
	o.waiting.PushBack(o.gapSlot(session, gap))
}

// Take copies the next event, or Gap, to send into scratch, so that whatever
// is dropped meanwhile cannot change what is being published, and moves on. A
// gap is returned when it is sent for the first time. It reports false if
// there is nothing to send.
func (o *Outbox) Take(scratch []byte) (e Entry, payload []byte, fresh *Gap, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	payload = scratch[:0]
	if o.shut() {
		return Entry{}, payload, nil, false
	}
	if o.retry.Len() > 0 {
		s := o.retry.PopFront()
		o.sent.PushBack(s)
		if s.gap != nil {
			return s.Entry, s.gap.AppendJSON(payload), s.gap.first(), true
		}
		o.queued--
		o.inFlight++
		o.resent++
		return s.Entry, append(payload, s.block.buf[s.offset:s.offset+s.size]...), nil, true
	}
	for o.waiting.Len() > 0 && !o.holds() {
		s := o.waiting.PopFront()
		if s.gap != nil && s.gap.Resume {
			if o.past == 0 {
				o.free(&s) // nothing was before: no hole
				continue
			}
			s.gap.From, s.gap.Resume = min(o.past, s.gap.To), false
		}
		if s.tombstone {
			o.tombstones--
			o.free(&s)
			continue
		}
		if s.gap != nil {
			s.At = s.gap.To
			payload = s.gap.AppendJSON(payload)
		} else {
			payload = append(payload, s.block.buf[s.offset:s.offset+s.size]...)
		}
		if o.share != nil {
			o.share.number(&s, payload)
		}
		o.sent.PushBack(s)
		if s.gap == nil {
			o.queued--
			o.inFlight++
			if s.shed {
				o.sheddable--
			}
			return s.Entry, payload, nil, true
		}
		if s.gap == o.shedding {
			o.shedding = nil
		}
		return s.Entry, payload, s.gap.first(), true
	}
	return Entry{}, payload, nil, false
}

// Stores returns how many events were published.
func (o *Outbox) Stores() uint64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.published
}

// Ack releases the oldest in flight, if there is one, as published.
func (o *Outbox) Ack() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.sent.Len() == 0 {
		return
	}
	s := o.sent.PopFront()
	if s.gap == nil {
		o.published++
		o.inFlight--
	}
	o.free(&s)
	o.updateShare(true)
	o.updateLevel(false)
}

// RefuseSent gives up the i'th in flight, which NATS will never take. A Gap
// takes its place, to be sent after a rewind. It reports false for what is a Gap itself, which
// is never given up.
func (o *Outbox) RefuseSent(i int) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if i < 0 || i >= o.sent.Len() || o.sent.At(i).gap != nil {
		return false
	}
	s := o.sent.At(i)
	o.free(s)
	o.inFlight--
	gap := &Gap{Reason: DropOversize}
	gap.add(s.At)
	o.dropped[DropOversize]++
	number := s.Seq
	*s = o.gapSlot(s.Session, gap)
	if o.share != nil {
		s.Seq, o.share.refused = number, true
	}
	return true
}

// Waiting reports whether something is to be sent.
func (o *Outbox) Waiting() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return !o.shut() && (o.retry.Len() > 0 || o.waiting.Len() > o.tombstones && !o.holds())
}

// WaitsOne reports whether one event is to be sent, and nothing behind it yet.
func (o *Outbox) WaitsOne() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return !o.shut() && o.retry.Len() == 0 && o.waiting.Len() == o.tombstones+1 && !o.holds()
}

// holds reports whether what waits has to wait for what was before this process,
// or for what its first Gap has to say.
func (o *Outbox) holds() bool {
	if o.waiting.Len() == 0 {
		return false
	}
	gap := o.waiting.At(0).gap
	return gap != nil && (gap.Resume && !o.known || gap.Held || o.share != nil && !o.mayBegin(gap))
}

// Unhold lets a held Gap go. Empty leaves what it says of a restart.
func (o *Outbox) Unhold(gap *Gap, restarted string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	gap.Held = false
	if restarted != "" {
		gap.Restarted = restarted
	}
}

// SetLastBefore says when the last event before this process was; zero if there was
// none.
func (o *Outbox) SetLastBefore(last time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.known = true
	if !last.IsZero() {
		o.past = last.UnixNano()
	}
}

// LastBefore returns when the last event before this process was, or zero if
// there was none or it is not known.
func (o *Outbox) LastBefore() time.Time {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.past == 0 {
		return time.Time{}
	}
	return time.Unix(0, o.past)
}

// left is how much is to be published still, Gaps included.
func (o *Outbox) left() int { return o.sent.Len() + o.retry.Len() + o.waiting.Len() - o.tombstones }

// Account is an outbox at one moment. The law holds in each:
// received = published + dropped + filtered + queued + InFlight + released.
type Account struct {
	Received, Published, Filtered, Queued, InFlight uint64
	Released                                        uint64 // given up by a standby: the leader has them
	Resent                                          uint64 // sent once more each time
	Dropped                                         map[string]uint64
	Bytes, HighWater                                int64
	Level                                           Level
	Left                                            int
}

// Account returns what became of all events so far. Any goroutine may call it.
func (o *Outbox) Account() Account {
	o.mu.Lock()
	defer o.mu.Unlock()
	a := Account{
		Received: o.received, Published: o.published, Filtered: o.filtered,
		Queued: o.queued, InFlight: o.inFlight, Resent: o.resent,
		Dropped: maps.Clone(o.dropped), Bytes: o.bytes, HighWater: o.highWater, Level: o.level,
		Left: o.left(),
	}
	if o.share != nil {
		a.Released = o.share.released
	}
	return a
}

// KeptPayload is how large an encoding buffer outlives its event.
const KeptPayload = 64 << 10
