package delivery

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/natsconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/standby"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
)

const (
	// fastFlow is how many events the server may acknowledge at once while more
	// wait than it takes: it saves the server a tenth. Otherwise it acknowledges
	// each. It says nothing in between, to a ping neither, so that the last few
	// before a pause must be known as such when they are sent.
	fastFlow = 100
	// fastBurst is how many events that go out together are a batch of their own, with one
	// acknowledgement: at 20,000 events/s it saves the bridge and nats-server a twelfth each.
	fastBurst = 8
	// fastOutstanding bounds what is in flight, in acknowledgements due, up to
	// fastMsgs. The server makes the flow smaller where publishers share a stream.
	fastOutstanding = 20
	fastMsgs        = windowMsgs / 4 * 3
	// fastIdle is how long a batch is used after its last event. The server
	// forgets it after ten seconds (streamMaxBatchTimeout).
	fastIdle = 5 * time.Second
	// fastTail is how long events are waited for that are acknowledged only with
	// those behind them, when none come.
	fastTail = 100 * time.Millisecond
)

var (
	// errBatchEnded is a batch that the server knows no more, or that lacks a
	// message there: a new leader of the stream, or one that was lost.
	errBatchEnded = errors.New("the stream ended the batch")
	// errNoFastIngest is a stream or a server that has none.
	errNoFastIngest = errors.New("no fast ingest: it wants nats-server 2.14 or later, and allow_batched on " + streams.EventStream)
)

// fastMode is JetStream's fast ingest (ADR-50): one batch after another, of
// all servers' events. The stream takes the n'th of a batch only behind the one
// before it, and acknowledges all up to the n'th at once. After any failure a new
// batch begins at the oldest event that is not acknowledged. What still arrives of
// the old batch is in the same order, and by its message ids the stream keeps one of
// the two copies. So no event overtakes another of its server, not even when the
// stream's leader changes.
//
// A repeat needs care. Within a batch nats-server acknowledges an event whose id it
// has seen, though the first copy may not be on the other replicas yet. If they
// elect another leader then, that copy is lost (stream.go, errMsgIdDuplicate). For a
// single-message batch the acknowledgement says whether it was a duplicate. So after
// a failure each event is a batch of its own, until the stream has stored a new one:
// then everything before it is stored too.
//
// A batch ends with an event that is known to be the last, or it is given up. A
// message that does nothing but end it would be on the events' subjects, for every
// subscriber to see.
type fastMode struct {
	inbox  string // with the dot; replies come to <inbox><batch>.<flow>.fail.<n>.<op>.$FI
	unique string
	window *window
	lead   *leadMode // nil unless several bridges share the servers

	reply   []byte // of the publisher, as are the following
	batches uint64
	last    time.Time // when the last one was sent
	burst   int       // events since gathered

	mu         sync.Mutex // protects the following
	batch      string     // empty: the next event begins one
	key        string     // of it: what its replies have behind the inbox, with a dot
	begun      time.Time  // when its first event was sent
	known      bool       // nats-server has said that it has begun
	ackedAt    time.Time  // when the newest event that is acknowledged was sent
	flow       uint64     // of it, as asked for
	due        uint64     // an acknowledgement comes each so many, as the server has it
	sent       uint64     // in it
	acked      uint64
	backlogged bool            // more waits than the server takes, or than one acknowledgement each is for
	ending     bool            // its last event was sent
	late       late            // see note
	single     bool            // since a failure no event was stored that was not before
	ring       [windowMsgs]ref // what is in flight, by its number in the batch
	failure    error           // of the batch
}

// ref is an event in flight.
type ref struct {
	source int
	number uint64
	at     time.Time // when it was sent
	first  bool      // of a leader, see Fence.Whole
}

func newFastMode(c *natsconn.Conn, w *window) (*fastMode, error) {
	inbox := c.Inbox()
	d := &fastMode{inbox: inbox + ".", unique: inbox[strings.LastIndexByte(inbox, '.')+1:], window: w}
	if _, err := c.Subscribe(d.inbox+">", "", d.onReply); err != nil {
		return nil, fmt.Errorf("subscribe to acknowledgements: %w", err)
	}
	return d, nil
}

func (*fastMode) name() string { return modeFast }

// prepare sends the event as the next one of the batch; last if none follows
// now.
func (d *fastMode) prepare(m *nats.Msg, source int, number uint64, last bool, now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.sent == d.acked && now.Sub(d.last) > fastIdle {
		d.batch = ""
	}
	op := "1.$FI"
	if d.batch == "" {
		d.begin(now)
		op = "0.$FI"
	}
	first := d.lead.isFirst()
	d.single = d.single || first
	if d.alone(source) || d.flow > 1 && last || d.flow == 1 && d.backlogged {
		op, d.ending = "2.$FI", true
	}
	d.last = now
	d.sent++
	d.burst++
	d.ring[d.sent%windowMsgs] = ref{source, number, now, first}
	d.reply = append(append(d.reply[:0], d.inbox...), d.key...)
	d.reply = append(strconv.AppendUint(d.reply, d.flow, 10), ".fail."...)
	d.reply = append(append(strconv.AppendUint(d.reply, d.sent, 10), '.'), op...)
	m.Reply = borrow(d.reply)
}

// gathered has what the publisher has waited for go out as a batch of its own, if the last time
// it was much. It is not for servers that are shared: there each batch has its fences, and
// waits until it is known to have begun.
func (d *fastMode) gathered() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.backlogged = d.backlogged || d.burst >= fastBurst && d.lead == nil
	d.burst = 0
}

func (d *fastMode) begin(now time.Time) {
	if !standby.MayGoOn(d.ackedAt, now, d.lead.lease()) {
		d.lead.doubtAll()
	}
	d.batches++
	d.begun, d.late.lease = now, d.lead.lease()
	number := strconv.FormatUint(d.batches, 36)
	d.batch = d.unique + "-" + number
	d.key = d.batch + "."
	if d.lead != nil {
		d.batch = BatchOf(d.lead.incarnation, int(d.batches%SharedBatches))
		d.key = number + "." + d.batch + "." // for the batch's name comes again
	}
	d.sent, d.acked, d.ending, d.failure, d.known = 0, 0, false, nil, false
	d.flow = 1
	if d.backlogged {
		d.flow = fastFlow
	}
	d.due, d.backlogged = d.flow, false
}

// wantsLast reports whether prepare wants to know which event is the last.
func (d *fastMode) wantsLast() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.flow > 1 || d.backlogged
}

func (d *fastMode) room() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.failure != nil || d.ending || d.lead != nil && !(d.mayGoOn(time.Now()) && d.arrived()) {
		return false
	}
	limit := uint64(fastMsgs)
	if d.flow > 1 {
		limit = min(limit, fastOutstanding*d.due)
	}
	if d.sent-d.acked < limit {
		return true
	}
	d.backlogged = d.flow == 1
	return false
}

// pause fails the batch as well if it is idle and nothing came behind events
// that are not acknowledged by themselves. They are taken for the last only if
// nothing else waits, but what waits may be dropped. And it fails if nobody has
// answered what was to end it.
func (d *fastMode) pause(idle bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	unacked := d.sent - d.acked
	if idle && d.failure == nil && !d.ending && unacked > 0 && unacked < d.due && time.Since(d.last) > fastTail {
		return errBatchEnded
	}
	if d.failure == nil && d.ending && unacked == 0 && time.Since(d.last) > d.window.timeout { // else check finds it
		return errBatchEnded
	}
	return d.failure
}

// abandon has the next event begin a new batch. Whoever calls it sends again
// what was in flight.
func (d *fastMode) abandon() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.batch, d.failure, d.sent, d.acked, d.backlogged, d.ending, d.single = "", nil, 0, 0, false, false, true
	d.lead.doubtAll()
}

// fail has err be the failure of the batch, if it has none.
func (d *fastMode) fail(err error) {
	d.mu.Lock()
	if d.failure == nil && d.batch != "" {
		d.failure = err
	}
	d.mu.Unlock()
	d.window.signal()
}

// onReply hears the server. It runs on the subscription's goroutine and does not
// wait. Every subscriber of events sees the reply subject and may answer there,
// so that only what the stream itself would say counts; whoever may publish to
// the bridge's inbox can forge it.
func (d *fastMode) onReply(m *nats.Msg) {
	d.mu.Lock()
	rest, ours := strings.CutPrefix(strings.TrimPrefix(m.Subject, d.inbox), d.key)
	current := ours && d.batch != "" && d.failure == nil
	woke := current && d.observe(m, rest)
	d.mu.Unlock()
	if !current {
		d.window.domains.noteAnswer(m.Data)
	}
	if woke {
		d.window.signal()
	}
}

// observe takes in a reply to the current batch, and reports whether that failed or has begun.
func (d *fastMode) observe(m *nats.Msg, rest string) (changed bool) {
	if len(m.Data) == 0 && m.Header.Get("Status") == "503" {
		d.failure = natsconn.ErrNoStream
		return true
	}
	a, ok := parseAnswer(m.Data)
	if !ok {
		return false
	}
	why, kind, own := a.refusal(), string(a.kind), string(a.stream) == streams.EventStream
	begins := kind == "ack" && !d.known
	d.known = d.known || begins
	switch {
	case why != nil:
		number := a.sequence
		if kind == "" {
			number = numberOf(rest)
		}
		d.failure = d.refused(number, why)
	case kind == "ack" && d.single: // said of a repeat on its way as well
	case kind == "ack":
		d.due = max(a.messages, 1)
		d.ackTo(a.sequence)
	case kind == "gap", kind == "err":
		d.failure = errBatchEnded
	case kind == "" && own && string(a.batch) == d.batch:
		event := d.ring[a.count%windowMsgs]
		if event.first && a.repeat {
			d.failure = d.refusedFence(event)
			break
		}
		if d.single = d.single && a.repeat; !a.repeat {
			d.lead.trust(event.source)
		}
		d.window.observe(a.sequence)
		d.window.domains.note(a.domain)
		d.ended(a.count)
	case kind == "" && own && len(a.batch) == 0:
		d.failure = errNoFastIngest // it was taken as a message like any other
	}
	return d.failure != nil || begins
}

// ended takes in that the batch ended with so many events, and begins a new one
// if that is all of it.
func (d *fastMode) ended(count uint64) {
	d.late.note(count, d.ring[1].at)
	d.ackTo(count)
	if !d.ending || d.acked != d.sent {
		d.failure = errBatchEnded
		return
	}
	d.batch, d.ending, d.sent, d.acked = "", false, 0, 0
	d.window.signal()
}

// refused returns what a refusal of the number'th means for the batch.
func (d *fastMode) refused(number uint64, why *natsconn.Refusal) error {
	event, inFlight := d.ring[number%windowMsgs], number > d.acked && number <= d.sent
	switch why.Code {
	case natsconn.StreamMessageExceedsMaximum:
		if !inFlight {
			return errBatchEnded
		}
		d.window.refuse(event.source, event.number, why)
		return errRefused
	case natsconn.BatchPublishDisabled, natsconn.BatchPublishInvalidPattern:
		return errNoFastIngest
	case natsconn.BatchPublishUnknownBatch:
		return errBatchEnded
	case natsconn.StreamNotMatch:
		if !inFlight {
			return why
		}
		d.window.failNumber(event.source, event.number, why)
		return errOthers
	case natsconn.StreamWrongLastSequence, natsconn.StreamWrongLastConstant:
		if d.lead == nil || !inFlight {
			return why
		}
		return d.refusedFence(event)
	default:
		return why
	}
}

// refusedFence takes in that the fence of the event was refused.
func (d *fastMode) refusedFence(event ref) error {
	d.lead.refused(event.source)
	d.window.failNumber(event.source, event.number, errFence)
	return errOthers
}

// ackTo releases what the stream has stored.
func (d *fastMode) ackTo(number uint64) {
	if number > d.sent {
		return
	}
	for d.acked < number {
		d.acked++
		event := d.ring[d.acked%windowMsgs]
		d.ackedAt = event.at
		d.window.ack(event.source, event.number)
	}
}

// numberOf returns the number in <flow>.fail.<number>.<op>.$FI.
func numberOf(rest string) uint64 {
	_, rest, _ = strings.Cut(rest, ".fail.")
	text, _, _ := strings.Cut(rest, ".")
	number, _ := strconv.ParseUint(text, 10, 64)
	return number
}
