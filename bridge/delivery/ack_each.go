package delivery

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/natsconn"
)

// windowMode has each event acknowledged by the stream, where that has no
// fast ingest: on nats-server before 2.14, or without AllowBatchPublish. The
// reply subject of each carries its server and number, and one subscription
// hears them all: a future for each message, as jetstream.PublishAsync keeps,
// would cost twenty allocations and lose the order on a retry.
//
// An event is stored once however often it is sent, within the stream's
// duplicate window. On a single server they are stored in order, and after a
// failure the first is sent alone until the stream takes it. At the onset of a
// change of the stream's leader in a cluster, or of a refusal of single events,
// a repeat may land behind events that were sent after it.
type windowMode struct {
	inbox  string
	window *window
	reply  []byte
}

func newWindowMode(c *natsconn.Conn, w *window) (*windowMode, error) {
	d := &windowMode{inbox: c.Inbox() + ".", window: w}
	if _, err := c.Subscribe(d.inbox+"*", "", d.onAck); err != nil {
		return nil, fmt.Errorf("subscribe to acknowledgements: %w", err)
	}
	return d, nil
}

func (*windowMode) name() string { return modeWindow }

func (*windowMode) room() bool { return true }

func (d *windowMode) prepare(m *nats.Msg, source int, number uint64, _ bool, _ time.Time) {
	d.reply = strconv.AppendInt(append(d.reply[:0], d.inbox...), int64(source), 10)
	d.reply = strconv.AppendUint(append(d.reply, '-'), number, 10)
	m.Reply = borrow(d.reply)
}

func (d *windowMode) pause(bool) error { return nil }

// onAck hears one acknowledgement. It runs on the subscription's goroutine and
// does not wait. Every subscriber of events sees the reply subject and may
// answer there, so that only the stream's own word counts.
func (d *windowMode) onAck(m *nats.Msg) {
	first, second, _ := strings.Cut(strings.TrimPrefix(m.Subject, d.inbox), "-")
	source, err := strconv.Atoi(first)
	if err != nil {
		return
	}
	number, err := strconv.ParseUint(second, 10, 64)
	if err != nil {
		return
	}
	if len(m.Data) == 0 && m.Header.Get("Status") == "503" {
		d.window.failNumber(source, number, natsconn.ErrNoStream)
		return
	}
	a, ok := parseAnswer(m.Data)
	if !ok {
		return // a stranger's word
	}
	switch refused := a.refusal(); {
	case a.stored():
		// A duplicate is acknowledged like any other: it is stored.
		d.window.observe(a.sequence)
		d.window.domains.note(a.domain)
		d.window.ack(source, number)
	case refused == nil:
	case refused.Code == natsconn.StreamMessageExceedsMaximum:
		d.window.refuse(source, number, refused)
	default:
		d.window.failNumber(source, number, refused)
	}
}
