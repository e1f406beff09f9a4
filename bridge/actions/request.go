package actions

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/audit"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/catalog"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/idempotency"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/name"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/reply"
	"github.com/ami-nats-bridge/ami-nats-bridge/correlation"
	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
)

// actionRequest is one request for an Action, from its arrival to the end of its reply.
// It passes from the endpoint's goroutine to whichever ends its call, a reader
// or a timer, or stores its intent, and on to the replier's, and is never on two
// at once.
type actionRequest struct {
	endpoint *Endpoint
	behind   *behind // of the endpoint, when the request came
	subject  string
	action   name.Action
	to       string // the caller's inbox
	options  options
	body     body              // its headers until they have become a frame
	bodyHash [sha256.Size]byte // hash of the body, of one with a key
	received time.Time
	// answer is replyNow while the endpoint's goroutine has it, and else replyLater.
	answer func(*actionRequest, reply.Message)

	server   *Target             // that it is with, or nil
	others   []*Target           // that it has not been with, and may; see more
	widened  bool                // they are, or were, those that only other bridges have
	declined *reply.Error        // why the last one did not take it
	deadline time.Time           // of the reply, whoever gives it; from the first server on
	headers  []frames.Header     // in the server's charset
	held     int64               // bytes that count at the endpoint
	shares   bool                // its text with the others of a request to all
	intended bool                // its intent is recorded
	recorded *audit.Recorded     // for the audit; nil without one
	entry    *idempotency.Entry  // as the first of its Ami-Idempotency-Key, or nil
	stream   *reply.Stream       // of its parts, or nil
	mask     reply.Mask          // of what Asterisk says
	counted  bool                // among the bridge's Actions in flight
	away     bool                // another bridge leads its server, and is asked
	handed   *handed             // by another bridge; nil: by its caller
	out      bool                // a Link or another bridge has it, and ends it
	sent     string              // whether it reached Asterisk, once it has ended; empty: it was not given to a Link
	result   *correlation.Result // of its call, once that has ended
	after    func()              // called once the reply is out
}

// fanOut asks each server. Behind the last reply comes an empty message with
// their number, the end that NATS clients know (ADR-47).
func (a *actionRequest) fanOut() {
	servers, err := a.asks()
	if err != nil {
		a.Refuse(reply.BadRequest(err))
		return
	}
	if !a.hold() {
		a.Refuse(tooMuchHeld())
		return
	}
	left := new(atomic.Int64)
	left.Store(int64(len(servers)))
	end, held := a.endOf(len(servers)), a.held
	if len(servers) == 0 {
		a.endpoint.held.give(held)
		end()
	}
	for i, s := range servers {
		one := *a
		one.server, one.others, one.shares, one.held = s, servers[i:i+1], true, 0
		one.after = func() {
			if left.Add(-1) == 0 {
				a.endpoint.held.give(held)
				end()
			}
		}
		one.guarded(one.begin)
	}
}

// endOf returns what publishes the end behind so many replies.
func (a *actionRequest) endOf(replies int) func() {
	replier, to := a.endpoint.shared.sender, a.to
	return func() { replier.End(to, replies) }
}

// asks returns the servers that a request to all is for: those of Ami-Group, or
// all.
func (a *actionRequest) asks() ([]*Target, error) {
	if a.options.group == (name.Server{}) {
		return a.endpoint.shared.withForeign(a.behind.servers), nil
	}
	if servers := a.behind.groups[a.options.group.String()]; servers != nil {
		return servers, nil
	}
	if e := a.endpoint; e.isShared() && e.shared.others.OtherGroups() {
		return nil, fmt.Errorf("Ami-Group: bridge %s has no group %q, and another bridge may: give all of them the same BRIDGE_GROUP_…", e.shared.node, a.options.group.String())
	}
	return nil, fmt.Errorf("Ami-Group: there is no group %q", a.options.group.String())
}

// begin lets a on its way, if it is no repeat of another.
func (a *actionRequest) begin() {
	if a.counted = a.endpoint.shared.inFlight.enter(); !a.counted {
		a.Refuse(refusalOf(amiconn.ErrStopping, 0))
		return
	}
	if !a.hold() {
		a.Refuse(tooMuchHeld())
		return
	}
	if a.options.key == "" {
		a.proceed()
		return
	}
	a.endpoint.shared.cache.Claim(a.key(), a)
}

// proceed gives the Action to the next server that may have it. Without one it
// is refused with what the last one said.
func (a *actionRequest) proceed() {
	switch {
	case !a.choose():
	case a.away:
		a.askOthers()
		return
	default:
		a.submit()
		return
	}
	if a.endpoint.routed {
		a.server = nil
	}
	a.Refuse(a.declined)
}

// choose finds the next server that may have the Action now, and reads the
// request for it. Without one a.server stays as it is.
func (a *actionRequest) choose() bool {
	for a.more() {
		next := a.others[0]
		a.others = a.others[1:]
		var fail *reply.Error
		switch a.away = next.isElsewhere(); {
		case !a.away:
			fail = a.admit(next)
		case !a.mayAskOthers():
			fail = next.ledElsewhere()
		}
		if fail == nil {
			a.server = next
			if a.deadline.IsZero() {
				a.deadline = a.received.Add(next.timeout(a.action.String(), a.options.timeout))
			}
			return true
		}
		a.decline(fail)
	}
	return false
}

// decline notes why a server does not have the Action, and when the first of
// all can be asked again.
func (a *actionRequest) decline(fail *reply.Error) {
	if last := a.declined; last != nil && last.RetryAfter > 0 && (fail.RetryAfter == 0 || last.RetryAfter < fail.RetryAfter) {
		fail.RetryAfter = last.RetryAfter
	}
	a.declined = fail
}

// submit sends the Action, with AUDIT=strict once its intent is stored, which
// nobody waits for: a goes on where that is reported.
func (a *actionRequest) submit() {
	recorder := a.endpoint.shared.audit
	if !recorder.Strict() {
		a.send()
		return
	}
	// A caller must not make as many intents as it likes of what cannot be sent.
	err := a.server.link.Room(wireSize(a.headers))
	if err != nil && !recorder.MayIntend(a.server.cfg.Name, a.action.String()) {
		a.server.pressure(errors.Is(err, amiconn.ErrBusy))
		a.decline(a.server.refusal(err))
		a.proceed()
		return
	}
	a.Later()
	q := a.audited()
	a.intended = true
	recorder.Intend(q, func(err error) {
		a.guarded(func() {
			if err != nil {
				a.Refuse(audit.Unavailable(err))
				return
			}
			a.send()
		})
	})
}

// send hands the Action to the server's Link. The reply is queued when it has
// ended. What a Link does not take was not sent, so another server may have it.
func (a *actionRequest) send() {
	timeout := time.Until(a.deadline)
	if timeout <= 0 {
		a.Refuse(timeOver())
		return
	}
	server := a.server
	a.mask = reply.Mask{Off: server.permits.Load().policy.ShowsSecrets(a.action)}
	action := amiconn.Action{
		Name: a.action.String(), Headers: a.headers, Timeout: timeout,
		WaitComplete: a.awaitsOriginate(), May: server.leads, Done: func(r *correlation.Result) { a.guarded(func() { a.finish(r) }) },
	}
	if a.options.stream {
		a.stream = a.newStream()
		action.Part = a.stream.Take
	}
	// The call may end before Do returns.
	answer, kept := a.answer, a.body
	a.out = true
	a.Later()
	a.headers = nil
	if !catalog.Read(a.action.String()) || !a.more() { // failsOver does not need them
		a.LetGo()
	}
	_, err := server.link.Do(action)
	server.pressure(errors.Is(err, amiconn.ErrBusy))
	if err == nil {
		return
	}
	a.out, a.answer = false, answer
	a.takeBack(kept)
	a.decline(server.refusal(err))
	a.proceed()
}

func timeOver() *reply.Error {
	return &reply.Error{Code: 504, Kind: reply.KindTimeout, Sent: "no", Message: "its time was over before it could be sent"}
}

// finish takes the end of a call. It runs on the goroutine that ended it, an
// AMI reader as a rule, and does not wait.
func (a *actionRequest) finish(r *correlation.Result) {
	server := a.server
	a.out, a.sent, a.result = false, r.Sent.String(), r
	if a.failsOver(r) {
		r.Release()
		server.pressure(false)
		if a.away {
			a.askOthers()
		} else {
			a.submit()
		}
		return
	}
	if r.Sent == correlation.SentYes {
		server.acted(a.action.String())
	}
	fail := reply.ErrorOf(r)
	if errors.Is(r.Cause, amiconn.ErrWithdrawn) {
		fail = server.ledElsewhere()
	}
	a.count(resultOf(fail), fail)
	a.mask.Result(r)
	head := a.head()
	head.ActionID, head.Stream, head.Masked = r.ActionID, a.stream, a.mask.Names
	body := reply.Append(nil, head, r, fail)
	a.finishKey(body, fail)
	recorded := a.audited()
	recorded.Ended = time.Now()
	a.endpoint.shared.sender.Queue(reply.Message{
		To: a.to, Body: body, Error: fail, Head: head, Stream: a.stream,
		Done: func() {
			// The caller does not wait for it, nor does the AMI reader.
			a.endpoint.shared.audit.Outcome(recorded, r, fail)
			r.Release()
			a.ended()
			server.pressure(false)
		},
	})
}

// failsOver reports whether another server has the Action now, and chooses it:
// it only reads, it was not written, and there is time left.
func (a *actionRequest) failsOver(r *correlation.Result) bool {
	return r.Outcome == correlation.NotSent && catalog.Read(a.action.String()) && time.Until(a.deadline) > 0 && a.choose()
}

// Refuse answers a request that was not given to Asterisk.
func (a *actionRequest) Refuse(fail *reply.Error) {
	a.count(resultRefused, fail)
	if a.handed == nil || !a.handed.routed || a.intended { // else who chooses among the servers records it
		a.endpoint.shared.audit.Outcome(a.audited(), nil, fail)
	}
	head := a.head()
	body := reply.Append(nil, head, nil, fail)
	a.finishKey(body, fail)
	a.answer(a, reply.Message{To: a.to, Body: body, Error: fail, Head: head, Done: a.ended})
}

// replyNow publishes a reply without a call of Asterisk's, which would bound the
// sender's queue. Only the endpoint's goroutine may wait for NATS so.
func (a *actionRequest) replyNow(r reply.Message) { a.endpoint.shared.sender.Publish(r) }

// replyLater has the sender publish it.
func (a *actionRequest) replyLater(r reply.Message) { a.endpoint.shared.sender.Queue(r) }

// ended is called once the reply is out.
func (a *actionRequest) ended() {
	if a.stream != nil {
		a.stream.End()
	}
	if a.after != nil {
		a.after()
	}
	a.endpoint.held.give(a.held)
	if a.counted {
		a.endpoint.shared.inFlight.leave()
	}
}

// count notes what became of a, at its endpoint and at its server: at the endpoint where
// its caller asked, and at the server where it was written.
func (a *actionRequest) count(r result, fail *reply.Error) {
	took := time.Since(a.received)
	if r == resultRefused {
		a.countRefused(fail, time.Now())
	}
	if a.handed == nil {
		a.endpoint.stats.add(r, fail, took)
	}
	if a.server != nil && !a.away {
		a.server.stats.add(r, fail, took)
	}
}

// head is what the bridge itself knows of a. Without a server it is the
// endpoint that answers.
func (a *actionRequest) head() reply.Head {
	h := reply.Head{Server: a.endpoint.Name, Node: a.endpoint.shared.node, Action: a.action.String(), RequestID: a.body.requestID}
	if a.server != nil {
		h.Server = a.server.cfg.Name
	}
	return h
}

// audited is a as the audit records it.
func (a *actionRequest) audited() *audit.Request {
	to := a.to
	if a.handed != nil {
		to = a.handed.inbox
	}
	return &audit.Request{
		To: to, Subject: a.subject, Action: a.action.String(), Server: a.head().Server, RequestID: a.body.requestID,
		Received: a.received, Deadline: a.deadline, Intended: a.intended, Recorded: a.recorded,
	}
}

// awaitsOriginate reports whether the reply is to be that of the OriginateResponse.
func (a *actionRequest) awaitsOriginate() bool {
	return a.options.complete && a.action.Is("Originate") && isAsync(a.headers)
}

func (a *actionRequest) newStream() *reply.Stream {
	all := a.endpoint.shared
	return reply.NewStream(a.to, a.server.cfg.Name, &a.server.streamed, all.sender, all.watch, &a.mask)
}
