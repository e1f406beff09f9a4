package delivery

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/outbox"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/standby"
)

// Where several bridges share a server the stream keeps those out that do not lead it. Its
// first event in each batch is sent behind a fence: the record of the leader's term must
// be the last one. The first event of a leader goes alone, and behind another fence: no
// event of the server may have been stored since the leader looked.
//
// nats-server takes an event for a repeat, by its id, before it looks at the fence, and the
// batch goes on. So who may have lost the lead without knowing it sends each event alone,
// until one is stored that was not before: its fence held. And the first event of a leader that
// is a repeat counts as refused: somebody has stored it since. That it is one is said of a batch
// with nothing else in it only, so that the one before is ended first.
//
// A batch that is open is not looked at again, so that it goes on only while what was sent
// a moment ago is acknowledged (standby.MayGoOn). And its name can be guessed, so that the
// successor can end it.

// Lead is what the events of one server are sent behind. Its functions may be called from
// any goroutine and do not wait.
type Lead struct {
	// Terms is the subject of the record of the term.
	Terms string
	// Fence returns what a batch begins behind; false while nothing may be sent. Whoever
	// lets it go makes the server ready.
	Fence func() (Fence, bool)
	// Refused hears that an event was refused for its fence. From then on Fence returns
	// false until that is dealt with.
	Refused func()
}

// Fence is what the first event of a server in a batch is sent behind.
type Fence struct {
	Term  uint64 // sequence of the record of the term
	Whole bool   // it is the leader's first: the last event of the server must be Last
	Last  uint64
	// Lease is for how long a batch goes on behind it, see standby.SendLease.
	Lease time.Duration
}

// SharedBatches is how many names of batches one process has where several share the
// servers.
const SharedBatches = 16

// BatchOf returns the k'th name of those batches.
func BatchOf(incarnation string, k int) string { return incarnation + "-" + strconv.Itoa(k) }

const (
	lastSubjectSequence = "Nats-Expected-Last-Subject-Sequence"
	lastSubject         = "Nats-Expected-Last-Subject-Sequence-Subject"
)

var (
	// errFence is an event that was refused for its fence: another bridge may lead.
	errFence = errors.New("the stream refused a fence")
	// errForgotten has what is in flight be forgotten: the outbox holds it for a standby.
	errForgotten = errors.New("another bridge leads")
	// errSharedNeedsFast is errNoFastIngest where nothing else will do.
	errSharedNeedsFast = errors.New("no fast ingest, without which BRIDGE_HA cannot be on")
)

// leadMode is what a Publisher has of servers that are shared. It is the publisher's, but
// for refused.
type leadMode struct {
	incarnation string
	source      func(number int) *Source
	in          []uint64 // by the sources' numbers, the batch that each has sent in last
	doubt       uint64   // counts the times at which all that is known of fences was in doubt
	trusted     []uint64 // by the sources' numbers, that count when a fence held last; guarded by the fastMode's lock
	next        Fence    // of the event that is sent next
	seq, on     []string // headers
}

// batchOf returns the batch that the source with that number has sent in last.
func (l *leadMode) batchOf(number int) *uint64 {
	if missing := number + 1 - len(l.in); missing > 0 {
		l.in = append(l.in, make([]uint64, missing)...)
	}
	return &l.in[number]
}

// doubtAll takes in that somebody else may lead any of the servers. It is called with the
// fastMode's lock held, as are the next three; a nil leadMode does nothing.
func (l *leadMode) doubtAll() {
	if l != nil {
		l.doubt++
	}
}

// lease is for how long a batch goes on, by the fence that was looked at last. It is the publisher's.
func (l *leadMode) lease() time.Duration {
	if l == nil {
		return 0
	}
	return l.next.Lease
}

// isFirst reports whether the next event is the first of its server's leader, see Fence.Whole.
func (l *leadMode) isFirst() bool { return l != nil && l.next.Whole }

// doubts reports whether the next event of the source with that number goes alone.
func (l *leadMode) doubts(number int) bool {
	return l != nil && (number >= len(l.trusted) || l.trusted[number] != l.doubt)
}

// trust takes in that an event of the source was stored behind its fence.
func (l *leadMode) trust(number int) {
	if l == nil {
		return
	}
	if missing := number + 1 - len(l.trusted); missing > 0 {
		l.trusted = append(l.trusted, make([]uint64, missing)...)
	}
	l.trusted[number] = l.doubt
}

func (l *leadMode) refused(number int) { l.source(number).Lead.Refused() }

// leads reports whether the next event of id may be sent.
func (p *Publisher) leads(id int) bool {
	l := p.lead
	if l == nil {
		return true
	}
	f, ok := p.source(id).Lead.Fence()
	if !ok {
		return false
	}
	l.next = f
	return true
}

// begins reports whether the next event of id may be sent now: one that goes alone begins a batch. If
// another is open that is to end first, and id's turn goes on then.
func (p *Publisher) begins(id int) bool {
	if p.lead == nil {
		return true
	}
	s := p.source(id)
	reply := p.fast.end(id, s.Outbox)
	if reply == "" {
		return true
	}
	m := nats.NewMsg(s.Lead.Terms) // not on the events' subject: every subscriber would see it
	m.Reply = reply
	err := nats.ErrDisconnected
	if p.guard.enter(p.dialled) {
		err = p.conn.Publish(p.link, m)
		p.guard.leave()
	}
	if err != nil {
		p.failAll(fmt.Errorf("publish: %w", err))
	}
	return false
}

// fence puts the fence before p.msg, if it is the first of id in its batch. Like all of
// publish it allocates nothing for an event of a batch that is open.
func (p *Publisher) fence(id int) {
	l, h := p.lead, p.msg.Header
	s, last, batch := p.source(id), l.batchOf(id), p.fast.batches
	switch {
	case l.next.Whole:
		l.on[0], l.seq[0] = s.Filter, strconv.FormatUint(l.next.Last, 10)
	case *last != batch:
		l.on[0], l.seq[0] = s.Lead.Terms, strconv.FormatUint(l.next.Term, 10)
	default:
		delete(h, lastSubjectSequence)
		delete(h, lastSubject)
		return
	}
	*last = batch
	h[lastSubjectSequence], h[lastSubject] = l.seq, l.on
}

// Forget has all that is in flight of s be forgotten, which its outbox holds again
// for a standby. It may be called from any goroutine and does not wait.
func (p *Publisher) Forget(s *Source) { p.window.fail(s.number, errForgotten) }

// mayFlow reports whether events of s may be sent: no other bridge leads it.
func (s *Source) mayFlow() bool {
	if s.Lead == nil {
		return true
	}
	_, ok := s.Lead.Fence()
	return ok
}

// end has the batch that is open end, if an event of the source waits that goes alone, and returns the
// reply subject of what says so to nats-server: a message that is none of the batch (operation 3).
func (d *fastMode) end(source int, o *outbox.Outbox) (reply string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.batch == "" || d.ending || d.failure != nil || !d.alone(source) || !o.Waiting() {
		return ""
	}
	d.ending, d.last = true, time.Now()
	return fmt.Sprint(d.inbox, d.key, d.flow, ".fail.", d.sent+1, ".3.$FI")
}

// alone reports whether the next event of the source is to be the only one of its batch.
func (d *fastMode) alone(source int) bool {
	return d.single || d.lead.isFirst() || d.lead.doubts(source)
}

// arrived reports whether the batch that is open has begun at nats-server, which says so of
// its first event at once (BatchFlowAck of sequence 0, stream.go). Behind it the others have
// no fence: all of a batch that arrived after a take-over could be stored if its first event
// was known by its id.
func (d *fastMode) arrived() bool { return d.batch == "" || d.known }

// mayGoOn reports whether the next event may go into the batch that is open, or begin
// another. A batch that was not heard of for too long takes no more: another begins when
// what is in flight is acknowledged, or is sent again.
func (d *fastMode) mayGoOn(now time.Time) bool {
	newest := d.ackedAt
	if d.begun.After(newest) {
		newest = d.begun
	}
	switch {
	case d.batch == "" || standby.MayGoOn(newest, now, d.lead.lease()):
		return true
	case d.sent == d.acked:
		d.batch = ""
		return true
	case d.sent-d.acked < d.due: // nobody would acknowledge them
		d.failure = errBatchEnded
	}
	return false
}
