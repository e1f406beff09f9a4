package bridge

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

// reply is one message on its way to a caller: a whole reply, or a part of it.
type reply struct {
	to      string
	head    replyHead
	body    []byte
	failure *failure
	done    func()   // gives back what the reply holds
	stream  *stream  // that it is a part of, or the end of
	part    int      // its number, or 0
	masked  []string // the headers of the part that are hidden
	probe   string   // where to hear that nobody listens, or empty
	repeat  bool     // the outcome of an earlier request
}

// replier publishes replies, so that whoever ends a call, an AMI reader as a
// rule, never calls NATS. Its queue is bounded by the calls' slots: each reply
// holds the one of its Action until it is published.
type replier struct {
	conn  *natsconn.Conn
	again <-chan struct{} // the connection has come or gone
	log   *zap.Logger
	wake  chan struct{} // of capacity 1

	mu      sync.Mutex
	waiting []reply
}

func newReplier(c *natsconn.Conn, log *zap.Logger) *replier {
	return &replier{conn: c, again: c.Watch(), log: log, wake: make(chan struct{}, 1)}
}

// queue hands over a reply and returns at once.
func (r *replier) queue(answer reply) {
	r.mu.Lock()
	r.waiting = append(r.waiting, answer)
	r.mu.Unlock()
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// run publishes until ctx ends and nothing waits.
func (r *replier) run(ctx context.Context) {
	var batch []reply
	for {
		r.mu.Lock()
		batch, r.waiting = r.waiting, batch[:0]
		r.mu.Unlock()
		for i := range batch {
			r.publish(batch[i])
			batch[i] = reply{}
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

// publish sends one reply. A caller that went away costs one message to
// nobody; a connection that is down loses the reply, and the caller times out
// knowing nothing, as it would have without us.
func (r *replier) publish(answer reply) {
	if answer.done != nil {
		defer answer.done()
	}
	if answer.part > 0 {
		r.publishPart(&answer)
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
func (r *replier) publishPart(answer *reply) {
	s := answer.stream
	if s.gone.Load() {
		s.counts.unheard.Add(1)
		return
	}
	err := r.send(answer.message())
	if err == nil {
		s.counts.published.Add(1)
		return
	}
	s.counts.lost.Add(1)
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
func (r *replier) send(m *nats.Msg) error {
	late := time.NewTimer(remakeTime)
	defer late.Stop()
	for {
		l := r.conn.Get()
		err := r.conn.Publish(l, m)
		if !errors.Is(err, nats.ErrConnectionClosed) && !errors.Is(err, nats.ErrDisconnected) {
			return err
		}
		for r.conn.Get() == l && !l.IsConnected() {
			select {
			case <-r.again:
			case <-late.C:
				return err
			}
		}
	}
}

// message is the answer as NATS has it.
func (answer *reply) message() *nats.Msg {
	if answer.part == 0 && answer.stream != nil && answer.stream.spoilt.Load() {
		return answer.tooLarge()
	}
	msg := nats.NewMsg(answer.to)
	msg.Data = answer.body
	if answer.failure != nil {
		answer.failure.setError(msg)
	}
	if answer.repeat {
		msg.Header.Set("Ami-Idempotent-Replay", "true")
	}
	if answer.part > 0 {
		msg.Header.Set("Ami-Part", strconv.Itoa(answer.part))
		msg.Header.Set("Ami-Server", answer.stream.server)
		if len(answer.masked) > 0 {
			msg.Header.Set("Ami-Masked", strings.Join(answer.masked, ","))
		}
		msg.Reply = answer.probe
	}
	return msg
}

// tooLarge takes the place of an answer that NATS does not take.
func (answer *reply) tooLarge() *nats.Msg {
	f := &failure{Code: 413, Kind: "reply_too_large", Sent: "yes", Message: tooLargeForNATS}
	msg := nats.NewMsg(answer.to)
	msg.Data = appendReply(nil, answer.head, nil, f)
	f.setError(msg)
	return msg
}

// lost notes a reply that NATS did not take.
func (r *replier) lost(err error) { r.log.Warn("reply lost", zap.Error(err)) }

// end publishes the empty message that ends so many replies.
func (r *replier) end(to string, replies int) {
	msg := nats.NewMsg(to)
	msg.Header.Set("Ami-Replies", strconv.Itoa(replies))
	if err := r.send(msg); err != nil {
		r.lost(err)
	}
}

// replyHead is what the bridge itself knows of an Action.
type replyHead struct {
	server, node, action, actionID, requestID string
	stream                                    *stream  // of the parts before it, or nil
	masked                                    []string // headers that are hidden, in the parts as well
}

// appendReply writes the reply's JSON. r is nil for an Action that was refused
// before it was a call.
func appendReply(dst []byte, h replyHead, r *correlation.Result, f *failure) []byte {
	dst = append(dst, `{"server":`...)
	dst = jsontext.AppendString(dst, h.server)
	dst = jsontext.AppendMember(dst, "node", h.node)
	dst = jsontext.AppendMember(dst, "action", h.action)
	if h.actionID != "" {
		dst = jsontext.AppendMember(dst, "action_id", h.actionID)
	}
	if h.requestID != "" {
		dst = jsontext.AppendMember(dst, "request_id", h.requestID)
	}
	if r != nil {
		dst = appendResult(dst, r)
	}
	if h.stream != nil {
		dst = strconv.AppendInt(append(dst, `,"parts":`...), int64(h.stream.parts), 10)
	}
	if len(h.masked) > 0 {
		dst = append(dst, `,"masked":[`...)
		for i, name := range h.masked {
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
