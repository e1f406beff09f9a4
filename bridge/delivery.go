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
// may see it twice, with the same Nats-Msg-Id. An answer on a new connection
// says nothing about what was sent on the one before it.
type coreDelivery struct {
	nc         *nats.Conn
	window     *window
	begun      bool   // something was sent since the last settle
	reconnects uint64 // when it began
}

// coreFlush bounds the wait for that ping.
const coreFlush = 2 * time.Second

func (d *coreDelivery) prepare(*nats.Msg, int, uint64) {
	if !d.begun {
		d.begun, d.reconnects = true, d.nc.Stats().Reconnects
	}
}

func (d *coreDelivery) settle() error {
	if !d.begun {
		return nil
	}
	d.begun = false
	if err := d.nc.FlushTimeout(coreFlush); err != nil {
		return fmt.Errorf("flush: %w", err)
	}
	if d.nc.Stats().Reconnects != d.reconnects {
		return nats.ErrDisconnected
	}
	d.window.ackAll()
	return nil
}

// streamDelivery has each event acknowledged by the stream. The reply subject
// of each carries its server and number, and one subscription hears them all:
// a future for each message, as jetstream.PublishAsync keeps, would cost
// twenty allocations and lose the order on a retry.
//
// An event is stored once however often it is sent, within the stream's
// duplicate window. On a single server they are stored in order, and after a
// failure the first is sent alone until the stream takes it. At the onset of a
// change of the stream's leader in a cluster, or of a refusal of single events,
// a repeat may land behind events that were sent after it.
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

func (d *streamDelivery) prepare(m *nats.Msg, source int, number uint64) {
	d.reply = strconv.AppendInt(append(d.reply[:0], d.inbox...), int64(source), 10)
	d.reply = strconv.AppendUint(append(d.reply, '-'), number, 10)
	m.Reply = borrow(d.reply)
}

func (d *streamDelivery) settle() error { return nil }

// onAck hears one acknowledgement. It runs on the subscription's goroutine and
// does not wait. Every subscriber of events sees the reply subject and may
// answer there, so that only the stream's own word counts.
func (d *streamDelivery) onAck(m *nats.Msg) {
	first, second, _ := strings.Cut(strings.TrimPrefix(m.Subject, d.inbox), "-")
	source, err := strconv.Atoi(first)
	if err != nil {
		return
	}
	number, err := strconv.ParseUint(second, 10, 64)
	if err != nil {
		return
	}
	switch {
	case bytes.Contains(m.Data, errCodeField):
		if err := ackError(m.Data); err.Code == streamMessageExceedsMaximum {
			d.window.refuse(source, number)
		} else {
			d.window.failNumber(source, number, err)
		}
	case bytes.Contains(m.Data, ownStreamField):
		// A duplicate is acknowledged like any other: it is stored.
		d.window.ack(source, number)
	case len(m.Data) == 0 && m.Header.Get("Status") == "503":
		d.window.failNumber(source, number, errNoStream)
	}
}

var (
	errCodeField   = []byte(`"err_code":`)
	ownStreamField = []byte(`"stream":"` + EventStream + `"`)
	errNoStream    = errors.New("no stream takes the events: is AMI_EVENTS there, and JetStream on?")
)

// streamMessageExceedsMaximum is the server's JSStreamMessageExceedsMaximumErr.
const streamMessageExceedsMaximum = 10054

// refusal is why the stream did not take an event.
type refusal struct {
	Code        int    `json:"err_code"`
	Description string `json:"description"`
}

func (r *refusal) Error() string {
	return fmt.Sprintf("the stream refused an event: %s (%d)", r.Description, r.Code)
}

func ackError(body []byte) *refusal {
	var ack struct {
		Error refusal `json:"error"`
	}
	if err := json.Unmarshal(body, &ack); err != nil {
		ack.Error.Description = err.Error()
	}
	return &ack.Error
}
