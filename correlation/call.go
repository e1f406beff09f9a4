package correlation

import (
	"bytes"
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
	// Probe, if set, is called when a Response announced events in words only, so
	// that nothing may say which is the last: it is to have another Action written
	// on Session soon, whose Response ends the list (see Table.Answered). It is
	// called without the Table's lock by the goroutine that delivers, and must not
	// block.
	Probe func()
	// Part, if set, makes the reply a stream: it gets each event of a list and
	// each block of Output as it comes, in the order of the wire, and the
	// Result only counts them. The calls of one Call never overlap, and Done
	// begins after the last has returned: what comes once a timeout or the
	// session's end has ended the Call is not handed out, and Done then waits
	// for the Part that is just being handed out, not the timer for it.
	//
	// It is called without the Table's lock by the goroutine that delivers, and
	// must not block. False, or a panic, says that this Part was not taken: no
	// other follows, the Call goes on to its end and ends TooLarge.
	//
	// An awaited OriginateResponse is the outcome and no Part: it is kept in
	// Result.Events.
	Part func(Part) bool
	// Done is called exactly once if Register returned nil, without the
	// Table's lock, by whichever goroutine ended the Call; it must not block.
	Done func(*Result)
}

// Part is a piece of a streamed reply: an event or lines of Output. The bytes
// are borrowed for the call of Call.Part.
type Part struct {
	// Event is an event of the list as a JSON object, the one that completes it
	// included; nil if this is Output.
	Event []byte
	// Output are lines as JSON strings separated by commas, OutputLines of
	// them: 200 at most, and 64 KiB unless one line alone is longer.
	Output      []byte
	OutputLines int
}

// pending is a Call in the Table, guarded by its lock until it ends.
type pending struct {
	Result
	rule       *rule
	seq        uint64 // order of Register
	registered time.Time
	deadline   time.Time
	timer      *time.Timer

	sent       bool  // the first byte may be on the wire
	seen       bool  // Asterisk said something about it
	answered   bool  // the Response is there
	list       bool  // events up to the completion must follow the Response
	completed  bool  // the completion is there
	originated bool  // the OriginateResponse is there
	failed     bool  // Asterisk said Error
	fence      bool  // the Pong before it is there (see fenced)
	announced  bool  // the list was announced in words only
	unfinished bool  // pieces of the Response are still to come
	final      bool  // nothing more will come
	tooLarge   bool  // the body was given up
	spoilt     error // why

	occupies bool   // it counts in Table.busy
	over     bool   // it was taken out of the Table
	handing  bool   // a Part is being handed out, by the only one who writes this
	part     []byte // that Part, reused for the next; of who hands out
	partSize int    // what part occupies, as Table.bytes has it
}

// running says whether p is in the middle of a list, or between its fences.
func (p *pending) running() bool { return p.fence || p.list && !p.completed }

// awaitsOriginate says whether the OriginateResponse alone is missing: p has
// nothing more to expect from its own session.
func (p *pending) awaitsOriginate() bool {
	return p.WaitComplete && p.answered && !p.originated
}

// complete says whether everything that p waits for has come. The Response and
// the events after it are both needed, whatever came first.
func (p *pending) complete() bool {
	switch {
	case p.unfinished:
		return false
	case p.final:
		return true
	}
	if p.rule.has(noResponse) && p.completed {
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

// pong says whether the Response f answers one of the Pings around a fenced p,
// and takes it in.
func (p *pending) pong(f *frames.Frame) bool {
	if !p.rule.has(fenced) || f.Get("Ping") == nil {
		return false
	}
	// The first Pong says nothing of the Action behind it.
	p.seen = p.seen || p.fence
	p.final, p.fence = p.fence, true
	return true
}

// respond takes in the Response f.
func (p *pending) respond(f *frames.Frame) {
	list := f.Get("EventList")
	p.seen, p.answered = true, true
	switch {
	case equalFold(f.Name(), "Error"):
		p.failed = true
		p.final = !p.rule.has(errorThenComplete) && !p.fence
	case p.rule.has(attempt) && bytes.HasPrefix(f.Get("Message"), []byte(attempting)):
		p.answered = false
	case equalFold(list, "cancelled"):
		p.cancel()
	case equalFold(list, "start"), p.rule.goesOn(p.OldLists, f.Get("Message")):
		p.list = true
	case announces(f):
		p.list, p.announced = true, true
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
	return p.running() || p.rule.item(f.Name()) || p.last(f)
}

// last says whether f ends p's list. One that was announced in words only ends
// with an event of such a name.
func (p *pending) last(f *frames.Frame) bool {
	return p.rule.last(f) || p.announced && bytes.HasSuffix(f.Name(), []byte("Complete"))
}
