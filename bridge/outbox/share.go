package outbox

import (
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/deque"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/standby"
)

// share is what an outbox has of a server that several bridges share (package standby):
// the Follower of a standby, whose held events are those that wait here, or the Ledger of
// a leader, which numbers them as they are sent.
type share struct {
	o       ShareOptions
	filters uint64

	follows  *standby.Follower // nil while it leads
	leads    *standby.Ledger   // nil while it stands by
	open     bool              // it leads, and events may be sent
	epochs   bool              // a Gap between two sessions may begin an epoch
	first    bool              // nothing was stored since it leads
	refused  bool              // an event that was numbered was given up
	lost     int               // sessions that ended since it leads, and whose Gap has begun no epoch
	released uint64
}

// ShareOptions is what a shared outbox works with.
type ShareOptions struct {
	Most    int           // events that the outbox can hold
	Epoch   func() string // makes the name of an epoch that no other has had
	Filters uint64        // hash of all that decides which events count
	// Stored is called when the first event of who leads is stored, and Drained when
	// nothing is in flight any more after Close. They are called with the Outbox's
	// lock held: they do not wait, and do not call it.
	Stored, Drained func()
}

// Share has several bridges share the server. It is called before the first event. From
// here on nothing is sent until TakeOver or Begin.
func (o *Outbox) Share(options ShareOptions) {
	o.share = &share{o: options, filters: options.Filters}
	o.share.anew()
}

// anew begins to follow from nothing.
func (h *share) anew() {
	h.follows, h.leads, h.open, h.refused = standby.NewFollower(h.o.Most), nil, false, false
	h.lost = 0
	h.follows.Filter(h.filters)
}

// shut reports whether nothing may be sent since another bridge leads.
func (o *Outbox) shut() bool { return o.share != nil && !o.share.open }

// read takes in an event that has come, and reports whether it is to be held. One that
// is not is stored already.
func (o *Outbox) read(s *slot) (hold bool) {
	h := o.share
	if h.leads == nil {
		hold = h.follows.Read(s.Hash)
	} else {
		hold = h.leads.Read(s.Hash)
		if n, overdue := h.leads.Owed(); overdue {
			h.leads.Restart()
			gap := &Gap{Reason: GapTakeOver, Lost: uint64(n), Unknown: true, From: s.At, To: s.At}
			o.waiting.PushBack(o.gapSlot(s.Session, gap))
		}
	}
	if !hold {
		h.released++
	}
	return hold
}

// GapTakeOver is the reason of a Gap where one bridge took over from another, and does not
// know that nothing is missing.
const GapTakeOver = "take_over"

// number numbers what is sent for the first time. A Gap begins an epoch.
func (h *share) number(s *slot, payload []byte) {
	if s.gap == nil {
		s.Seq, _ = h.leads.Send(s.Hash) // the window is smaller than what it takes
		s.Session = h.leads.Epoch()
		return
	}
	_ = h.leads.Begin(h.o.Epoch()) // mayBegin has seen to it that all is stored
	h.refused = false
	h.lost -= s.gap.asks
	s.Session, s.Seq, s.Hash = h.leads.Epoch(), 0, standby.Hash(payload)
}

// asks has the Gap of a session's end ask for an epoch. It reports false for one that is none: a standby's,
// as long as the leader has none there, and so that of a session which ended before this bridge led, however
// late its Gap comes.
func (o *Outbox) asks(gap *Gap) bool {
	if o.share.leads == nil || o.share.lost <= o.asked() {
		return false
	}
	gap.asks = 1
	return true
}

// asked returns how many sessions have ended whose Gap waits.
func (o *Outbox) asked() (n int) {
	for i := range o.waiting.Len() {
		if gap := o.waiting.At(i).gap; gap != nil {
			n += gap.asks
		}
	}
	return n
}

// mayBegin reports whether a Gap may begin an epoch: all before it is stored.
func (o *Outbox) mayBegin(gap *Gap) bool {
	return o.sent.Len() == 0 && o.retry.Len() == 0 && (gap.asks == 0 || o.share.epochs)
}

// updateShare takes in what is stored, and whether something of it just was.
func (o *Outbox) updateShare(stored bool) {
	h := o.share
	if h == nil || h.leads == nil {
		return
	}
	if o.sent.Len() == 0 && o.retry.Len() == 0 {
		h.leads.Ack(h.leads.Sent())
	} else if s := o.oldest(); s.Seq > 0 && s.Session == h.leads.Epoch() {
		h.leads.Ack(s.Seq - 1)
	}
	if h.first && stored {
		h.first = false
		h.o.Stored()
	}
	if !h.open && o.sent.Len() == 0 {
		h.o.Drained()
	}
}

// oldest is the first of what was sent and is not known to be stored.
func (o *Outbox) oldest() *slot {
	if o.sent.Len() > 0 {
		return o.sent.At(0)
	}
	return o.retry.At(0)
}

// giveUp releases the oldest that a standby holds until so many bytes are left, and
// reports whether there was any: the leader has them.
func (o *Outbox) giveUp(bytes int64) bool {
	n := 0
	for o.bytes > bytes && o.waiting.Len() > 0 {
		if s := o.waiting.PopFront(); s.gap == nil {
			n++
			o.releaseHeld(&s)
		} else {
			o.free(&s)
		}
	}
	o.share.follows.Forget(n)
	return n > 0
}

// forgo gives up the event that has just come to a standby, for which there is no room.
func (o *Outbox) forgo() {
	o.share.follows.Forget(1)
	o.share.released++
}

// renumber has what was sent behind an event that NATS will never take be numbered anew:
// the Gap in its place begins an epoch.
func (o *Outbox) renumber() {
	h := o.share
	if h == nil || !h.refused {
		return
	}
	for i := range o.retry.Len() {
		if s := o.retry.At(i); s.gap != nil && s.Seq > 0 {
			h.leads.Rewind(s.Seq - 1)
			o.takeBack(&o.retry, i)
			return
		}
	}
}

// takeBack puts what was sent, from the i'th on, in front of what waits, as if it had never
// been.
func (o *Outbox) takeBack(from *deque.Deque[slot], i int) {
	for n := from.Len(); n > i; n-- {
		s := from.PopBack()
		if s.gap == nil && from == &o.sent {
			o.inFlight--
			o.queued++
		}
		if s.gap != nil {
			o.share.lost += s.gap.asks
		}
		s.doubt, s.Seq = nil, 0
		o.waiting.PushFront(s)
	}
}

// releaseHeld takes an event out of the books that another bridge has stored, or is to
// store.
func (o *Outbox) releaseHeld(s *slot) {
	o.queued--
	o.share.released++
	o.free(s)
}

// Observe takes in how far the leader has come, and releases what it has stored.
func (o *Outbox) Observe(m standby.Mark, now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.share.follows == nil {
		return
	}
	for n := o.share.follows.Observe(m, now); n > 0 && o.waiting.Len() > 0; {
		s := o.waiting.PopFront()
		if s.gap != nil {
			o.free(&s) // the leader has told of it
			continue
		}
		o.releaseHeld(&s)
		n--
	}
	o.updateLevel(false)
}

// Claim takes in that this bridge's claim of the term is stored.
func (o *Outbox) Claim(term uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.share.follows != nil {
		o.share.follows.Claim(term)
	}
}

// Restart takes up the next session: the one that was read has ended. What a standby held
// of it is given up. Who leads goes on with what it has.
func (o *Outbox) Restart() {
	o.mu.Lock()
	defer o.mu.Unlock()
	h := o.share
	h.epochs = false
	if h.leads != nil {
		h.leads.Restart()
		h.lost++
		return
	}
	o.giveUp(0)
	h.follows.Restart()
	o.updateLevel(false)
}

// SetFilters says what the hash is of all that decides which events count.
func (o *Outbox) SetFilters(hash uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	h := o.share
	h.filters = hash
	if h.leads != nil {
		h.leads.Filter(hash)
	} else {
		h.follows.Filter(hash)
	}
}

// Close has nothing new be sent; what is in flight may be stored still.
func (o *Outbox) Close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.share.open = false
	if o.sent.Len() == 0 {
		o.share.o.Drained()
	}
}

// Open has events be sent again after Close, if this bridge leads still.
func (o *Outbox) Open() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.share.open = o.share.leads != nil
}

// NextEpoch lets the Gap between two sessions begin an epoch.
func (o *Outbox) NextEpoch() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.share.epochs = o.share.leads != nil
}

// Shared is how a shared outbox stands.
type Shared struct {
	Leads  bool
	Left   uint64       // events of who leads that are not known to be stored
	Mark   standby.Mark // of who leads, in the term that was asked for
	State  standby.State
	Reason standby.Reason
	Term   uint64 // that is followed
	Lag    uint64
	Behind time.Time // since when there is a Lag; zero: there is none
	Oldest int64     // when the oldest event was read that is held, in nanoseconds since 1970; 0: none is
}

// Shared returns how the outbox stands.
func (o *Outbox) Shared(term uint64) Shared {
	o.mu.Lock()
	defer o.mu.Unlock()
	h := o.share
	if h.leads != nil {
		return Shared{Leads: true, Left: uint64(o.queued + o.inFlight), Mark: h.leads.Mark(term)}
	}
	state, reason := h.follows.State()
	now := Shared{State: state, Reason: reason, Term: h.follows.Term(), Lag: h.follows.Lag(), Behind: h.follows.Behind()}
	if o.waiting.Len() > 0 {
		now.Oldest = o.waiting.At(0).At
	}
	return now
}
