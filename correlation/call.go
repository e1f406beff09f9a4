package correlation

import (
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
)

// Call is one Action whose reply is awaited.
type Call struct {
	// ActionID is unique among all that the server may see (see IDs).
	ActionID string
	// Action is the Action's name; it decides what the reply looks like.
	Action string
	// Session is the token of the session that the Action is written on. Only
	// frames from there answer it.
	Session string
	// WaitComplete makes an async Originate end with its OriginateResponse,
	// which Asterisk sends to the session WaitSession: the event session, or
	// Session itself if there is only one.
	WaitComplete bool
	WaitSession  string
	// Regex marks a Hangup or PJSIPHangup with a /regex/ for its Channel: that
	// is a list, otherwise it is a plain acknowledgement.
	Regex bool
	// OldLists marks a server older than 13.2, where some lists carry no
	// EventList header.
	OldLists bool
	// Timeout counts from Register on.
	Timeout time.Duration
	// Done is called exactly once if Register returned nil, without the
	// Table's lock, by whichever goroutine ended the Call; it must not block.
	Done func(*Result)
}

// pending is a Call in the Table, guarded by its lock until it ends.
type pending struct {
	Result
	rule       *rule
	seq        uint64 // order of Register
	registered time.Time
	deadline   time.Time
	timer      *time.Timer

	sent       bool // the first byte may be on the wire
	seen       bool // Asterisk said something about it
	answered   bool // the Response is there
	list       bool // events up to the completion must follow the Response
	completed  bool // the completion is there
	originated bool // the OriginateResponse is there
	failed     bool // Asterisk said Error
	final      bool // nothing more will come
	tooLarge   bool // the body was given up
}

// running says whether p is in the middle of a list.
func (p *pending) running() bool { return p.list && !p.completed }

// awaitsOriginate says whether the OriginateResponse alone is missing: p has
// nothing more to expect from its own session.
func (p *pending) awaitsOriginate() bool {
	return p.WaitComplete && p.answered && !p.originated
}

// complete says whether everything that p waits for has come. The Response and
// the events after it are both needed, whatever came first.
func (p *pending) complete() bool {
	if p.final {
		return true
	}
	return p.answered && !p.running() && (!p.WaitComplete || p.originated)
}

// verdict is the Outcome of a complete p.
func (p *pending) verdict() Outcome {
	switch {
	case p.tooLarge:
		return TooLarge
	case p.failed:
		return AsteriskError
	}
	return Answered
}

// sentState is what is known of p when it ends.
func (p *pending) sentState() SentState {
	switch {
	case p.seen:
		return SentYes
	case p.sent:
		return SentUnknown
	}
	return SentNo
}

// respond takes in the Response f.
func (p *pending) respond(f *frames.Frame) {
	list := f.Get("EventList")
	p.answered = true
	switch {
	case equalFold(f.Name(), "Error"):
		p.failed = true
		p.final = !p.rule.has(errorThenComplete)
	case equalFold(list, "cancelled"):
		p.cancel()
	case equalFold(list, "start"), p.rule.goesOn(p.OldLists, f.Get("Message")):
		p.list = true
	}
}

// cancel ends p because Asterisk gave its list up.
func (p *pending) cancel() {
	p.failed, p.final, p.Cause = true, true, ErrCancelled
}

// takes says whether f, an event with p's ActionID from p's session, is part
// of p's list. Once the list has begun every event that Asterisk's session
// thread wrote itself is, so that a newer Asterisk may add kinds of items; an
// async event, which has a Privilege header, never is.
func (p *pending) takes(f *frames.Frame) bool {
	if _, ok := privilege(f); ok {
		return p.rule.has(literalPrivilege) && p.rule.item(f.Name())
	}
	return p.running() || p.rule.item(f.Name()) || p.rule.last(f)
}
