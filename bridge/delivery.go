package bridge

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// coreDelivery publishes without a stream. An event counts as published once
// the server has answered a ping that came behind it. Subscribers that are not
// there miss it; an event whose ping failed is sent again, so that a subscriber
// may see it twice, with the same Nats-Msg-Id.
type coreDelivery struct {
	nc         *nats.Conn
	window     *window
	reconnects uint64
}

// coreFlush bounds the wait for that ping.
const coreFlush = 2 * time.Second

// prepare notes by which connection the oldest that is to be settled goes out.
func (d *coreDelivery) prepare(_ *nats.Msg, number uint64) {
	if d.window.oldest() == number {
		d.reconnects = d.nc.Stats().Reconnects
	}
}

func (d *coreDelivery) settle() error {
	if d.window.empty() {
		return nil
	}
	err := d.nc.FlushTimeout(coreFlush)
	if err != nil {
		err = fmt.Errorf("flush: %w", err)
	}
	// A ping that was answered on a new connection says nothing of what was
	// sent on the old one.
	if d.nc.Stats().Reconnects != d.reconnects {
		err = errors.Join(err, nats.ErrDisconnected)
	}
	if err != nil {
		return err
	}
	d.window.ackAll()
	return nil
}

// streamDelivery has each event acknowledged by the stream. The reply subject
// of each carries its number, and one subscription hears them all: a future
// for each message, as jetstream.PublishAsync keeps, would cost twenty
// allocations and lose the order on a retry.
//
// An event is stored once however often it is sent, within the stream's
// duplicate window. On a single server they are stored in order. Through a
// change of the stream's leader in a cluster a repeat may land behind events
// that were sent after it.
type streamDelivery struct {
	inbox  string
	window *window
	reply  []byte
}

// EventStream is the name of the stream that holds the events.
const EventStream = "AMI_EVENTS"

func newStreamDelivery(nc *nats.Conn, w *window) (*streamDelivery, error) {
	d := &streamDelivery{inbox: nc.NewInbox() + ".", window: w}
	if _, err := nc.Subscribe(d.inbox+"*", d.onAck); err != nil {
		return nil, fmt.Errorf("subscribe to acknowledgements: %w", err)
	}
	return d, nil
}

func (d *streamDelivery) prepare(m *nats.Msg, number uint64) {
	d.reply = strconv.AppendUint(append(d.reply[:0], d.inbox...), number, 10)
	m.Reply = borrow(d.reply)
}

func (d *streamDelivery) settle() error { return nil }

// onAck hears one acknowledgement. It runs on the subscription's goroutine and
// does not wait.
func (d *streamDelivery) onAck(m *nats.Msg) {
	number, err := strconv.ParseUint(strings.TrimPrefix(m.Subject, d.inbox), 10, 64)
	if err != nil {
		return
	}
	if len(m.Data) > 0 && bytes.Contains(m.Data, []byte(`"stream":"`+EventStream)) && !bytes.Contains(m.Data, []byte(`"error"`)) {
		// A duplicate is acknowledged like any other: it is stored.
		d.window.ack(number)
		return
	}
	tooLarge, err := ackError(m)
	if tooLarge {
		d.window.refuse(number)
		return
	}
	d.window.failNumber(number, err)
}

// streamMessageExceedsMaximum is the server's JSStreamMessageExceedsMaximumErr.
const streamMessageExceedsMaximum = 10054

// ackError says why the stream did not take an event, and whether it never
// will because the event is too large.
func ackError(m *nats.Msg) (tooLarge bool, err error) {
	if len(m.Data) == 0 {
		return false, errors.New("no stream takes the events: is AMI_EVENTS there, and JetStream on?")
	}
	var ack struct {
		Error struct {
			Code        int    `json:"err_code"`
			Description string `json:"description"`
		} `json:"error"`
	}
	if err := json.Unmarshal(m.Data, &ack); err != nil {
		return false, fmt.Errorf("acknowledgement: %w", err)
	}
	return ack.Error.Code == streamMessageExceedsMaximum,
		fmt.Errorf("the stream refused an event: %s (%d)", ack.Error.Description, ack.Error.Code)
}
