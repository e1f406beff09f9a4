package bridge

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

const (
	// fastFlow is how many events the server may acknowledge at once while more
	// wait than it takes: it saves the server a tenth. Otherwise it acknowledges
	// each. It says nothing in between, to a ping neither, so that the last few
	// before a pause must be known as such when they are sent.
	fastFlow = 100
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
	errNoFastIngest = errors.New("no fast ingest: it wants nats-server 2.14 or later, and allow_batched on " + EventStream)
)

// fastDelivery is JetStream's fast ingest (ADR-50): one batch after another, of
// all servers' events. The stream takes the n'th of a batch only behind the one
// before it, and its acknowledgement is for all up to the n'th. After any
// failure a new batch begins at the oldest that is not acknowledged. Whatever of
// the old one still arrives is in the same order, and the message ids make one
// of the two copies nothing. So no event overtakes another of its server,
// through changes of the stream's leader as well.
//
// Within a batch the server takes an event for stored whose id it has seen, though
// it may only be on its way to the other replicas, and be lost with a leader that
// they have left (stream.go, errMsgIdDuplicate). Of a batch of one it says which.
// So after a failure each event is one, until the stream has stored a new one,
// and with it what was on its way before it.
//
// A batch ends with an event that is known to be the last, or by being used no
// more: a message that only ends it would be on the events' subjects, for all to
// see.
type fastDelivery struct {
	inbox  string // with the dot; replies come to <inbox><batch>.<flow>.fail.<n>.<op>.$FI
	unique string
	window *window

	reply   []byte // of the publisher, as are the following
	batches uint64
	last    time.Time // when the last one was sent

	mu      sync.Mutex // protects the following
	batch   string     // empty: the next event begins one
	flow    uint64     // of it, as asked for
	due     uint64     // an acknowledgement comes each so many, as the server has it
	sent    uint64     // in it
	acked   uint64
	crowded bool            // more waits than the server takes
	ending  bool            // its last event was sent
	wary    bool            // since a failure no event was stored that was not before
	ring    [windowMsgs]ref // what is in flight, by its number in the batch
	failure error           // of the batch
}

// ref is an event in flight.
type ref struct {
	source int
	number uint64
}

func newFastDelivery(c *conn, w *window) (*fastDelivery, error) {
	inbox := c.get().NewInbox()
	d := &fastDelivery{inbox: inbox + ".", unique: inbox[strings.LastIndexByte(inbox, '.')+1:], window: w}
	if _, err := c.subscribe(d.inbox+">", "", d.onReply); err != nil {
		return nil, fmt.Errorf("subscribe to acknowledgements: %w", err)
	}
	return d, nil
}

func (*fastDelivery) way() string { return wayFast }

// prepare sends the event as the next one of the batch; last if none follows
// now.
func (d *fastDelivery) prepare(m *nats.Msg, source int, number uint64, last bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now()
	if d.sent == d.acked && now.Sub(d.last) > fastIdle {
		d.batch = ""
	}
	op := "1.$FI"
	if d.batch == "" {
		d.begin()
		op = "0.$FI"
	}
	if d.wary || d.flow > 1 && last || d.flow == 1 && d.crowded {
		op, d.ending = "2.$FI", true
	}
	d.last = now
	d.sent++
	d.ring[d.sent%windowMsgs] = ref{source, number}
	d.reply = append(append(d.reply[:0], d.inbox...), d.batch...)
	d.reply = append(strconv.AppendUint(append(d.reply, '.'), d.flow, 10), ".fail."...)
	d.reply = append(append(strconv.AppendUint(d.reply, d.sent, 10), '.'), op...)
	m.Reply = borrow(d.reply)
}

func (d *fastDelivery) begin() {
	d.batches++
	d.batch = d.unique + "-" + strconv.FormatUint(d.batches, 36)
	d.sent, d.acked, d.ending, d.failure = 0, 0, false, nil
	d.flow = 1
	if d.crowded {
		d.flow = fastFlow
	}
	d.due, d.crowded = d.flow, false
}

// wantsLast reports whether prepare wants to know which event is the last.
func (d *fastDelivery) wantsLast() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.flow > 1 || d.crowded
}

func (d *fastDelivery) room() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.failure != nil || d.ending {
		return false
	}
	limit := uint64(fastMsgs)
	if d.flow > 1 {
		limit = min(limit, fastOutstanding*d.due)
	}
	if d.sent-d.acked < limit {
		return true
	}
	d.crowded = d.flow == 1
	return false
}

// settle fails the batch as well if it is idle and nothing came behind events
// that are not acknowledged by themselves. They are taken for the last only if
// nothing else waits, but what waits may be dropped.
func (d *fastDelivery) settle(idle bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	unacked := d.sent - d.acked
	if idle && d.failure == nil && !d.ending && unacked > 0 && unacked < d.due && time.Since(d.last) > fastTail {
		return errBatchEnded
	}
	return d.failure
}

// abandon has the next event begin a new batch. Whoever calls it sends again
// what was in flight.
func (d *fastDelivery) abandon() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.batch, d.failure, d.sent, d.acked, d.crowded, d.ending, d.wary = "", nil, 0, 0, false, false, true
}

// fail has err be the failure of the batch, if it has none.
func (d *fastDelivery) fail(err error) {
	d.mu.Lock()
	if d.failure == nil && d.batch != "" {
		d.failure = err
	}
	d.mu.Unlock()
	d.window.signal()
}

// batchReply is what the server says of a batch: a BatchFlowAck, a BatchFlowGap,
// a BatchFlowErr or a JSPubAckResponse.
type batchReply struct {
	Type     string   `json:"type"`
	Sequence uint64   `json:"seq"` // in the batch if there is a type, else in the stream
	Messages uint64   `json:"msgs"`
	Stream   string   `json:"stream"`
	Batch    string   `json:"batch"`
	Count    uint64   `json:"count"` // of the batch, stored
	Repeat   bool     `json:"duplicate"`
	Error    *refusal `json:"error"`
}

// onReply hears the server. It runs on the subscription's goroutine and does not
// wait. Every subscriber of events sees the reply subject and may answer there,
// so that only what the stream itself would say counts; whoever may publish to
// the bridge's inbox can forge it.
func (d *fastDelivery) onReply(m *nats.Msg) {
	batch, rest, _ := strings.Cut(strings.TrimPrefix(m.Subject, d.inbox), ".")
	d.mu.Lock()
	woke := batch == d.batch && d.failure == nil && d.hear(m, rest)
	d.mu.Unlock()
	if woke {
		d.window.signal()
	}
}

// hear takes in a reply to the current batch, and reports whether that failed.
func (d *fastDelivery) hear(m *nats.Msg, rest string) (failed bool) {
	if len(m.Data) == 0 && m.Header.Get("Status") == "503" {
		d.failure = errNoStream
		return true
	}
	r, ok := flowAck(m.Data)
	if !ok && json.Unmarshal(m.Data, &r) != nil {
		return false
	}
	switch {
	case r.Type == "ack" && d.wary: // said of a repeat on its way as well
	case r.Type == "ack":
		d.due = max(r.Messages, 1)
		d.ackTo(r.Sequence)
	case r.Error != nil:
		number := r.Sequence
		if r.Type == "" {
			number = numberOf(rest)
		}
		d.failure = d.refused(number, r.Error)
	case r.Type == "gap":
		d.failure = errBatchEnded
	case r.Type == "" && r.Stream == EventStream && r.Batch == d.batch:
		d.wary = d.wary && r.Repeat
		d.ended(r.Count)
	case r.Type == "" && r.Stream == EventStream && r.Batch == "":
		d.failure = errNoFastIngest // it was taken as a message like any other
	}
	return d.failure != nil
}

// ended takes in that the batch ended with so many events, and begins a new one
// if that is all of it.
func (d *fastDelivery) ended(count uint64) {
	d.ackTo(count)
	if !d.ending || d.acked != d.sent {
		d.failure = errBatchEnded
		return
	}
	d.batch, d.ending, d.sent, d.acked = "", false, 0, 0
	d.window.signal()
}

// refused returns what a refusal of the number'th means for the batch.
func (d *fastDelivery) refused(number uint64, why *refusal) error {
	switch why.Code {
	case streamMessageExceedsMaximum:
		if number <= d.acked || number > d.sent {
			return errBatchEnded
		}
		event := d.ring[number%windowMsgs]
		d.window.refuse(event.source, event.number)
		return errRefused
	case batchPublishDisabled, batchPublishInvalidPattern:
		return errNoFastIngest
	case batchPublishUnknownBatch:
		return errBatchEnded
	default:
		return why
	}
}

// ackTo releases what the stream has stored.
func (d *fastDelivery) ackTo(number uint64) {
	if number > d.sent {
		return
	}
	for d.acked < number {
		d.acked++
		event := d.ring[d.acked%windowMsgs]
		d.window.ack(event.source, event.number)
	}
}

// flowAck reads a BatchFlowAck, {"type":"ack","seq":7,"msgs":1}, as most replies
// are.
func flowAck(body []byte) (r batchReply, ok bool) {
	rest, ok := bytes.CutPrefix(body, []byte(`{"type":"ack","seq":`))
	if !ok {
		return r, false
	}
	r.Type = "ack"
	r.Sequence, rest = leadingNumber(rest)
	if rest, ok = bytes.CutPrefix(rest, []byte(`,"msgs":`)); !ok {
		return batchReply{}, false
	}
	r.Messages, rest = leadingNumber(rest)
	return r, string(rest) == "}"
}

// leadingNumber cuts the digits off that text begins with.
func leadingNumber(text []byte) (n uint64, rest []byte) {
	for len(text) > 0 && text[0] >= '0' && text[0] <= '9' {
		n, text = n*10+uint64(text[0]-'0'), text[1:]
	}
	return n, text
}

// numberOf returns the number in <flow>.fail.<number>.<op>.$FI.
func numberOf(rest string) uint64 {
	_, rest, _ = strings.Cut(rest, ".fail.")
	text, _, _ := strings.Cut(rest, ".")
	number, _ := strconv.ParseUint(text, 10, 64)
	return number
}
