package bridge

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/micro"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/catalog"
	"github.com/ami-nats-bridge/ami-nats-bridge/correlation"
)

// ask is one request for an Action, from its arrival to the end of its reply.
// It passes from the endpoint's goroutine to whichever ends its call, a reader
// or a timer, or stores its intent, and on to the replier's, and is never on two
// at once.
type ask struct {
	endpoint *endpoint
	subject  string
	action   string // as the subject spells it
	to       string // the caller's inbox
	body     []byte
	options  options
	came     time.Time
	handler  micro.Request // while the endpoint's goroutine has it, else nil

	server  *server   // that it is with, or nil
	others  []*server // that may have it if that one cannot
	request request   // as read for the server
	asked   *asked    // for the audit; nil without one
	keyed   *keyed    // as the first of its Ami-Idempotency-Key, or nil
	stream  *stream   // of its parts, or nil
	counted bool      // among the bridge's Actions in flight
	after   func()    // called once the reply is out
}

func (e *endpoint) newAsk(r micro.Request) *ask {
	subject := r.Subject()
	action := subject[strings.LastIndexByte(subject, '.')+1:]
	return &ask{
		endpoint: e, subject: subject, action: action, asked: e.b.audit.asked(r, action),
		to: r.Reply(), body: r.Data(), came: time.Now(), handler: r,
	}
}

// fanOut asks each server. Behind the last reply comes an empty message with
// their number, the end that NATS clients know (ADR-47).
func (a *ask) fanOut() {
	servers, err := a.members()
	if err != nil {
		a.refuse(badRequest(err))
		return
	}
	left := new(atomic.Int64)
	left.Store(int64(len(servers)))
	end := a.endOf(len(servers))
	for _, s := range servers {
		one := *a
		one.server = s
		one.after = func() {
			if left.Add(-1) == 0 {
				end()
			}
		}
		one.begin()
	}
}

// endOf returns what publishes the end behind so many replies.
func (a *ask) endOf(replies int) func() {
	replier, to := a.endpoint.b.replier, a.to
	return func() { replier.end(to, replies) }
}

// members are the servers that a request to all is for: those of Ami-Group, or
// all.
func (a *ask) members() ([]*server, error) {
	if a.options.group == "" {
		return a.endpoint.servers, nil
	}
	for _, e := range a.endpoint.b.endpoints {
		if e.group && e.name == a.options.group {
			return e.servers, nil
		}
	}
	return nil, fmt.Errorf("Ami-Group: there is no group %.40q", a.options.group)
}

// begin lets a on its way, if it is no repeat of another.
func (a *ask) begin() {
	if a.counted = a.endpoint.b.inFlight.enter(); !a.counted {
		a.refuse(refusalOf(amiconn.ErrStopping, 0))
		return
	}
	if a.options.key == "" || a.endpoint.b.repeats.claim(a) {
		a.proceed()
	}
}

// proceed chooses a server and submits the Action, or refuses it.
func (a *ask) proceed() {
	if fail := a.choose(); fail != nil {
		a.refuse(fail)
		return
	}
	a.submit()
}

// choose finds a server that may have the Action now, and reads the request for
// it. If there is none it says what the last one said, and when the first of
// them can be asked again.
func (a *ask) choose() *failure {
	if !a.endpoint.routed {
		return a.check(a.server)
	}
	last := refusalOf(amiconn.ErrNotConnected, 0)
	for len(a.others) > 0 {
		a.server, a.others = a.others[0], a.others[1:]
		fail := a.check(a.server)
		if fail == nil {
			return nil
		}
		if retry := last.RetryAfter; fail.RetryAfter == 0 || retry > 0 && retry < fail.RetryAfter {
			fail.RetryAfter = retry
		}
		last = fail
	}
	a.server = nil
	return last
}

// submit sends the Action, with AUDIT=strict once its intent is stored, which
// nobody waits for: a goes on where that is heard of.
func (a *ask) submit() {
	audit := a.endpoint.b.audit
	if !audit.strict() {
		a.send()
		return
	}
	a.handler = nil
	audit.intend(a, func(err error) {
		if err != nil {
			a.refuse(auditUnavailable(err))
			return
		}
		a.send()
	})
}

// send hands the Action to the server's Link. The reply is queued when it has
// ended. What a Link does not take was not sent, so another server may have it.
func (a *ask) send() {
	handler := a.handler
	a.handler = nil // the call may end before Do returns
	server := a.server
	action := amiconn.Action{
		Name: a.action, Headers: a.request.headers, Timeout: a.remaining(),
		WaitComplete: a.waits(), Done: a.finish,
	}
	if a.options.stream {
		a.stream = a.newStream()
		action.Part = a.stream.take
	}
	_, err := server.link.Do(action)
	server.watchActions(errors.Is(err, amiconn.ErrBusy))
	if err == nil {
		return
	}
	a.handler = handler
	fail := server.refusal(err)
	if !a.endpoint.routed || a.choose() != nil {
		a.refuse(fail)
		return
	}
	a.submit()
}

// finish takes the end of a call. It runs on the goroutine that ended it, an
// AMI reader as a rule, and does not wait.
func (a *ask) finish(r *correlation.Result) {
	server := a.server
	if a.failsOver(r) {
		r.Release()
		server.watchActions(false)
		a.submit()
		return
	}
	fail := failureOf(r)
	result := resultAnswered
	if fail != nil {
		result = resultFailed
	}
	a.count(result)
	head := a.head()
	head.actionID = r.ActionID
	a.endpoint.b.audit.outcome(a, r, fail)
	if a.stream != nil {
		head.streamed, head.parts = true, a.stream.parts
	}
	body := appendReply(nil, head, r, fail)
	a.settle(body, fail)
	a.endpoint.b.replier.queue(reply{
		to: a.to, body: body, failure: fail, head: head, stream: a.stream,
		done: func() { r.Release(); a.ended(); server.watchActions(false) },
	})
}

// failsOver reports whether another server has the Action now, and chooses it:
// it only reads, it was not written, and there is time left.
func (a *ask) failsOver(r *correlation.Result) bool {
	if r.Outcome != correlation.NotSent || !a.endpoint.routed || !catalog.Read(a.action) ||
		a.options.timeout > 0 && a.remaining() <= time.Millisecond {
		return false
	}
	was := a.server
	if a.choose() == nil {
		return true
	}
	a.server = was
	return false
}

// refuse answers a request that was not given to Asterisk.
func (a *ask) refuse(fail *failure) {
	a.count(resultRefused)
	a.endpoint.b.audit.outcome(a, nil, fail)
	head := a.head()
	body := appendReply(nil, head, nil, fail)
	a.settle(body, fail)
	if a.handler == nil {
		a.endpoint.b.replier.queue(reply{to: a.to, body: body, failure: fail, head: head, done: a.ended})
		return
	}
	// So the service counts it.
	if err := a.handler.Error(strconv.Itoa(fail.Code), fail.text(), body); err != nil {
		a.endpoint.b.replier.lost(err)
	}
	a.ended()
}

// ended is called once the reply is out.
func (a *ask) ended() {
	if a.stream != nil {
		a.stream.end()
	}
	if a.after != nil {
		a.after()
	}
	if a.counted {
		a.endpoint.b.inFlight.leave()
	}
}

// count notes what became of a, at its endpoint and at its server.
func (a *ask) count(r result) {
	a.endpoint.counts[r].Add(1)
	if a.server != nil {
		a.server.actions[r].Add(1)
	}
}

// head is what the bridge itself knows of a. Without a server it is the
// endpoint that answers.
func (a *ask) head() replyHead {
	h := replyHead{server: a.endpoint.name, node: a.endpoint.b.cfg.Node, action: a.action, requestID: a.request.requestID}
	if a.server != nil {
		h.server = a.server.cfg.Name
	}
	return h
}

// remaining is how much of Ami-Timeout is left; 0 without one.
func (a *ask) remaining() time.Duration {
	if a.options.timeout == 0 {
		return 0
	}
	return max(time.Millisecond, a.options.timeout-time.Since(a.came))
}

// waits reports whether the reply is to be that of the OriginateResponse.
func (a *ask) waits() bool {
	return a.options.complete && a.action == "Originate" && a.request.isAsync()
}
