package reply

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/jsontext"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/natsconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/correlation"
)

// Message is one message on its way to a caller: a whole reply, or a part of it.
type Message struct {
	To         string
	Head       Head
	Body       []byte
	Error      *Error
	Done       func()   // does what nobody waits for, and gives back what the reply holds
	Stream     *Stream  // that it is a part of, or the end of
	part       int      // its number, or 0
	masked     []string // the headers of the part that are hidden
	watchInbox string   // where the server says that nobody listens, or empty
	Repeat     bool     // the outcome of an earlier request
}

// Sender publishes replies, so that whoever ends a call, an AMI reader as a
// rule, never calls NATS. Its queue is bounded by the calls' slots: each reply
// holds the one of its Action until it is published.
type Sender struct {
	conn        *natsconn.Conn
	connChanged <-chan struct{} // the connection has come or gone
	log         *zap.Logger
	wake        chan struct{} // of capacity 1
	denied      denials

	mu      sync.Mutex
	waiting []Message
}

// NewSender returns a Sender of replies on c, which is opened later. Run starts it.
func NewSender(c *natsconn.Conn, log *zap.Logger) *Sender {
	r := &Sender{conn: c, connChanged: c.Watch(), log: log, wake: make(chan struct{}, 1)}
	c.OnError(func(err error) { r.denied.take(err, time.Now()) })
	return r
}

// Queue hands over a reply and returns at once.
func (r *Sender) Queue(answer Message) {
	r.mu.Lock()
	r.waiting = append(r.waiting, answer)
	r.mu.Unlock()
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Run publishes until ctx ends and nothing waits.
func (r *Sender) Run(ctx context.Context) {
	var batch []Message
	for {
		r.mu.Lock()
		batch, r.waiting = r.waiting, batch[:0]
		r.mu.Unlock()
		for i := range batch {
			r.publish(&batch[i])
			if batch[i].part > 0 { // room for those behind it
				batch[i].done()
				batch[i] = Message{}
			}
		}
		for i := range batch {
			batch[i].done()
			batch[i] = Message{}
		}
		if len(batch) > 0 {
			continue
		}
		select {
		case <-r.wake:
		case <-ctx.Done():
			return
		}
	}
}

// Publish sends one reply. A caller that went away costs one message to
// nobody; a connection that is down loses the reply, and the caller times out
// knowing nothing, as it would have without us.
func (r *Sender) Publish(answer Message) {
	r.publish(&answer)
	answer.done()
}

// done gives back what answer holds.
func (answer *Message) done() {
	if answer.Done != nil {
		answer.Done()
	}
}

// publish is Publish that gives nothing back.
func (r *Sender) publish(answer *Message) {
	if answer.part > 0 {
		r.publishPart(answer)
		return
	}
	err := r.send(answer.message())
	if errors.Is(err, nats.ErrMaxPayload) {
		err = r.send(answer.tooLarge())
	}
	if err != nil {
		r.lost(err)
	}
}

// publishPart sends one part of a stream, unless nobody listens. One that does
// not fit a message spoils the reply behind it.
func (r *Sender) publishPart(answer *Message) {
	s := answer.Stream
	if s.unheard.Load() {
		s.counts.Unheard.Add(1)
		return
	}
	err := r.send(answer.message())
	if err == nil {
		s.counts.Published.Add(1)
		return
	}
	s.counts.Lost.Add(1)
	if errors.Is(err, nats.ErrMaxPayload) {
		s.spoilt.Store(true)
		return
	}
	r.lost(err)
}

// remakeTime is how long a reply waits for another connection.
const remakeTime = 5 * time.Second

// send publishes m. A connection that is down keeps it by itself; one that was
// closed, for good or because the server takes more now, is waited for.
func (r *Sender) send(m *nats.Msg) error {
	var late *time.Timer
	for {
		l := r.conn.Get()
		err := r.conn.Publish(l, m)
		if !errors.Is(err, nats.ErrConnectionClosed) && !errors.Is(err, nats.ErrDisconnected) {
			return err
		}
		if late == nil {
			late = time.NewTimer(remakeTime)
			defer late.Stop()
		}
		for r.conn.Get() == l && !l.IsConnected() {
			select {
			case <-r.connChanged:
			case <-late.C:
				return err
			}
		}
	}
}

// message is the answer as NATS has it.
func (answer *Message) message() *nats.Msg {
	if answer.part == 0 && answer.Stream != nil && answer.Stream.spoilt.Load() {
		return answer.tooLarge()
	}
	msg := nats.NewMsg(answer.To)
	msg.Data = answer.Body
	if answer.Error != nil {
		answer.Error.setError(msg)
	}
	if answer.Repeat {
		msg.Header.Set("Ami-Idempotent-Replay", "true")
	}
	if answer.part > 0 {
		msg.Header.Set("Ami-Part", strconv.Itoa(answer.part))
		msg.Header.Set("Ami-Server", answer.Stream.server)
		if len(answer.masked) > 0 {
			msg.Header.Set("Ami-Masked", strings.Join(answer.masked, ","))
		}
		msg.Reply = answer.watchInbox
	}
	return msg
}

// tooLarge takes the place of an answer that NATS does not take.
func (answer *Message) tooLarge() *nats.Msg {
	f := &Error{Code: 413, Kind: KindTooLarge, Sent: "yes", Message: tooLargeForNATS}
	msg := nats.NewMsg(answer.To)
	msg.Data = Append(nil, answer.Head, nil, f)
	f.setError(msg)
	return msg
}

// lost notes a reply that NATS did not take.
func (r *Sender) lost(err error) { r.log.Warn("reply lost", zap.Error(err)) }

// End publishes the empty message that ends so many replies.
func (r *Sender) End(to string, replies int) {
	msg := nats.NewMsg(to)
	msg.Header.Set("Ami-Replies", strconv.Itoa(replies))
	if err := r.send(msg); err != nil {
		r.lost(err)
	}
}

// Head is what the bridge itself knows of an Action.
type Head struct {
	Server, Node, Action, ActionID, RequestID string
	Stream                                    *Stream  // of the parts before it, or nil
	Masked                                    []string // headers that are hidden, in the parts as well
}

// Append writes the reply's JSON. r is nil for an Action that was refused
// before it was a call.
func Append(dst []byte, h Head, r *correlation.Result, f *Error) []byte {
	dst = append(dst, `{"server":`...)
	dst = jsontext.AppendString(dst, h.Server)
	dst = jsontext.AppendMember(dst, "node", h.Node)
	dst = jsontext.AppendMember(dst, "action", h.Action)
	if h.ActionID != "" {
		dst = jsontext.AppendMember(dst, "action_id", h.ActionID)
	}
	if h.RequestID != "" {
		dst = jsontext.AppendMember(dst, "request_id", h.RequestID)
	}
	if r != nil {
		dst = appendResult(dst, r)
	}
	if h.Stream != nil {
		dst = strconv.AppendInt(append(dst, `,"parts":`...), int64(h.Stream.parts), 10)
	}
	if len(h.Masked) > 0 {
		dst = append(dst, `,"masked":[`...)
		for i, name := range h.Masked {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = jsontext.AppendString(dst, name)
		}
		dst = append(dst, ']')
	}
	if f != nil {
		text, err := json.Marshal(f)
		if err == nil {
			dst = append(append(dst, `,"error":`...), text...)
		}
	}
	return append(dst, '}')
}

// appendResult writes what Asterisk said, as it came, and how long it took.
func appendResult(dst []byte, r *correlation.Result) []byte {
	if r.Fields != nil {
		dst = jsontext.AppendMember(dst, "response", r.Response)
		dst = jsontext.AppendMember(dst, "message", r.Message)
		dst = append(append(dst, `,"fields":`...), r.Fields...)
	}
	if len(r.Events) > 0 {
		dst = append(append(append(dst, `,"events":[`...), r.Events...), ']')
	}
	if len(r.Output) > 0 {
		dst = append(append(append(dst, `,"output":[`...), r.Output...), ']')
	}
	dst = append(dst, `,"duration_ms":`...)
	micros := r.Duration.Round(time.Microsecond) / time.Microsecond
	return strconv.AppendFloat(dst, float64(micros)/1000, 'f', -1, 64)
}
