package streams

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/natsconn"
)

// PublishRefused observes that the stream called name did not take a message. The
// code is that of JetStream's error, 0 if it has none: nats-server before 2.13
// says so of a leader that is none any more. The streams are looked at.
func (k *Reconciler) PublishRefused(name string, code int, description string) {
	if code == natsconn.StreamMessageExceedsMaximum && !k.sizeDue(time.Now()) {
		return
	}
	k.recheck()
	if state := streamStateOf(code); !state.There() {
		k.observe(name, finding{state: state, err: fmt.Errorf("a message was refused: %s (%d)", description, code)})
	}
}

// sizeDue reports whether the streams are to be looked at because a message was larger than one
// takes: somebody may have set max_msg_size. Each such message says so, and there may be many.
func (k *Reconciler) sizeDue(now time.Time) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.sizeAt.IsZero() && now.Sub(k.sizeAt) < sizeSpan {
		return false
	}
	k.sizeAt = now
	return true
}

// nobodyTook observes that no stream took a message for the one called name. The
// streams are looked at, and made if they are gone and are to be.
func (k *Reconciler) nobodyTook(name string) {
	k.recheck()
	k.observe(name, finding{state: Missing, err: errors.New("no stream takes what is published")})
}

// Stored observes what became of a message for the stream called name: nil, or why
// it is not known to be stored.
func (k *Reconciler) Stored(name string, err error) {
	api, isAPI := errors.AsType[*jetstream.APIError](err)
	refused, isRefusal := errors.AsType[*natsconn.Refusal](err)
	switch {
	case err == nil:
		k.Published(name)
	case isAPI && api.ErrorCode == natsconn.StreamNotMatch: // which the look that follows names, where ours lacks that subject
		k.PublishRefused(name, natsconn.StreamNotMatch, "another stream has its subject")
	case isAPI:
		k.PublishRefused(name, int(api.ErrorCode), api.Description)
	case isRefusal:
		k.PublishRefused(name, refused.Code, refused.Description)
	case errors.Is(err, natsconn.ErrNoStream), errors.Is(err, jetstream.ErrNoStreamResponse), errors.Is(err, nats.ErrNoResponders):
		k.nobodyTook(name)
	case errors.Is(err, nats.ErrMaxPayload): // that is NATS's own limit
	default:
		k.recheck() // no answer in time, or NATS is away: a look tells
	}
}

// Published observes that the stream called name has stored a message.
func (k *Reconciler) Published(name string) { k.observe(name, finding{state: OK}) }

func (k *Reconciler) observe(name string, f finding) {
	k.update(name, func(r *row) {
		switch {
		case f.state == OK:
			r.vouched = false
		case f.state == Missing && r.vouched:
			f.err = fmt.Errorf("%w, though the stream is there: does the account map subjects (mappings), or is its leader changing?", f.err)
		}
		r.reported, r.reportedAt = f, time.Now()
	})
}

// forget drops what was reported long ago.
func (k *Reconciler) forget() {
	k.mu.Lock()
	var old []string
	for _, r := range k.rows {
		if r.reported.state != Unknown && r.reported.state != OK && time.Since(r.reportedAt) > k.holds(r.name) {
			old = append(old, r.name)
		}
	}
	k.mu.Unlock()
	for _, name := range old {
		k.observe(name, finding{})
	}
}

// holds is for how long a failure counts that was reported of the stream called name, unless it is
// again. Of a status nobody hears that it was stored; that it is denied NATS says each time, and
// each is published again at an interval.
func (k *Reconciler) holds(name string) time.Duration {
	if name == StatusStream {
		return min(reportedFor, 2*k.cfg.StatusInterval)
	}
	return reportedFor
}

// streamStateOf is what an error of JetStream says about the stream; OK
// if it is about the message. The codes are those of nats-server's errors.json.
func streamStateOf(code int) State {
	switch code {
	case 10002, 10023, 10028, 10047, 10120, 10122: // limits of the account, resources
		return Full
	case 10077: // the store failed: over a limit, or what the disk said
		return Full
	case 10109:
		return ReadOnly
	case 10035, 10039, 10076:
		return NoJetStream
	case 10059, natsconn.StreamNotMatch: // not found, another stream answers
		return Missing
	case 10111, 10166, natsconn.BatchPublishDisabled: // roll-ups, times to live, fast ingest are off
		return Differs
	case natsconn.StreamMessageExceedsMaximum, natsconn.StreamWrongLastMsgID, natsconn.StreamWrongLastSequence, 10097, 10158,
		natsconn.StreamWrongLastConstant, 10167, natsconn.BatchPublishInvalidPattern, 10207, natsconn.BatchPublishUnknownBatch, 10211:
		return OK
	}
	return Unavailable
}

// foundBy is what an error says of the stream that was asked for.
func foundBy(err error) finding {
	f := finding{state: Unavailable, err: err}
	api, isAPI := errors.AsType[*jetstream.APIError](err)
	var known jetstream.JetStreamError
	if !isAPI && errors.As(err, &known) {
		api = known.APIError()
	}
	switch {
	case errors.Is(err, natsconn.ErrDenied):
		f.state = NoPermission
	case errors.Is(err, nats.ErrNoResponders):
		f.state = NoJetStream
	case api != nil:
		f.state = streamStateOf(int(api.ErrorCode))
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, nats.ErrTimeout):
		f.err = errors.New("JetStream does not answer: no leader, or the servers are overloaded")
	}
	if f.state == NoJetStream {
		f.err = fmt.Errorf("%w: enable JetStream, or give this leaf node the default_js_domain of its hub, or set BRIDGE_DELIVERY=core", err)
	}
	return f
}

// notMade is what it means that the stream could not be made.
func notMade(err error) finding {
	f := foundBy(err)
	switch f.state {
	case NoPermission, NoJetStream:
		return f
	}
	if _, ok := errors.AsType[*jetstream.APIError](err); ok {
		f.state = Missing
	}
	f.err = fmt.Errorf("it could not be made: %w", f.err)
	return f
}

// denials knows what the bridge may not ask, or receive the answer of. The server
// says so beside the question, whose answer never comes.
type denials struct {
	mu       sync.Mutex // protects the following
	question string     // the end of the subject of the question that is out
	cancel   context.CancelCauseFunc
}

// question asks JetStream what has the subject $JS.API.<what>.
func question[T any](ctx context.Context, k *Reconciler, what string, request func(context.Context) (T, error)) (T, error) {
	ctx, done := k.conn.Question(ctx, QuestionTimeout)
	defer done()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	d := &k.denials
	d.mu.Lock()
	d.question, d.cancel = what, cancel
	d.mu.Unlock()
	answer, err := request(ctx)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.question, d.cancel = "", nil
	if cause := context.Cause(ctx); err != nil && (errors.Is(cause, natsconn.ErrDenied) || errors.Is(cause, nats.ErrDisconnected)) {
		return answer, cause
	}
	return answer, err
}

// connectionError takes the errors of both connections that nobody waits for.
func (k *Reconciler) connectionError(err error) {
	subject, publish, denied := natsconn.Denial(err)
	if denied == nil {
		return
	}
	d := &k.denials
	d.mu.Lock()
	mine := strings.HasPrefix(subject, natsconn.InboxPrefix(k.cfg.Node)+".") // each question has an inbox of its own there
	if publish {
		mine = strings.HasSuffix(subject, "."+d.question)
	}
	if mine && d.cancel != nil {
		d.cancel(denied)
	}
	d.mu.Unlock()
	if !publish {
		return
	}
	for name, subjects := range k.subjects() {
		if natsconn.CoversAny(subjects, subject) {
			k.observe(name, finding{state: NoPermission, err: denied})
		}
	}
}

// subjects are those of each stream.
func (k *Reconciler) subjects() map[string][]string {
	k.mu.Lock()
	defer k.mu.Unlock()
	all := make(map[string][]string, len(k.rows))
	for _, r := range k.rows {
		all[r.name] = r.subjects
	}
	return all
}

// reconnected observes that a connection is new: rights may be other ones.
func (k *Reconciler) reconnected() {
	k.domain.Store(nil)
	for name := range k.subjects() {
		k.update(name, func(r *row) {
			if r.reported.state == NoPermission {
				r.reported = finding{}
			}
		})
	}
	k.recheck()
}
