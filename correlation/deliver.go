package correlation

import (
	"bytes"
	"strings"

	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
)

// Deliver takes a frame that session has read, hands out what is in it if its
// Call streams, and calls Done if a Call is complete with it. It reports whether
// the frame was part of a reply and so is no event to publish: every Response
// is, and every item and completion of a list, and the raw text of an Action
// that answers so; an OriginateResponse is not, though it may end a Call. f is
// only used during the call. The frames of one session are to be delivered in
// their order, one at a time.
//
// A Response answers the Call of exactly that ActionID on exactly that session
// and after Sent; one that fits none is counted in Stats as Late, Repeated or
// Unmatched.
func (t *Table) Deliver(session string, f *frames.Frame) (consumed bool) {
	var p *pending
	switch f.Kind() {
	case frames.KindResponse:
		p, consumed = t.response(session, f), true
	case frames.KindEvent:
		p, consumed = t.event(session, f)
	default:
		f = textFrame(f)
		p, consumed = t.text(session, f)
	}
	switch {
	case p == nil:
	case p.handing:
		t.handOut(p, f)
	default:
		p.Done(&p.Result)
	}
	return consumed
}

// response takes the Response f. Like event, text and originate it returns the
// Call that Deliver has to go on with, if any: to hand out a Part or because it
// has ended.
func (t *Table) response(session string, f *frames.Frame) *pending {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.find(session, f.Get("ActionID"))
	if p == nil {
		t.missed(session, f)
		return nil
	}
	running := p.running()
	if !p.pong(f) {
		p.respond(f)
		t.keepResponse(p, f)
	}
	if !running && p.running() {
		t.running = append(t.running, p)
	}
	if p.awaitsOriginate() {
		t.vacate(p)
	}
	return t.settle(p)
}

// event takes the event f.
func (t *Table) event(session string, f *frames.Frame) (next *pending, consumed bool) {
	name := f.Name()
	if value, ok := privilege(f); ok && bytes.HasSuffix(value, []byte(",all")) {
		if string(name) == "OriginateResponse" {
			return t.originate(session, f), false
		}
		return nil, false
	}
	if equalFold(name, "UserEvent") {
		return nil, false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	id := f.Get("ActionID")
	p := t.find(session, id)
	if len(id) == 0 {
		p = t.listWithoutID(session, f)
	}
	if p == nil {
		if t.ended.find(session, id) != nil {
			t.late++
			return nil, true
		}
		return nil, false
	}
	if !p.takes(f) {
		return nil, false
	}
	p.seen = true
	switch {
	case equalFold(f.Get("EventList"), "cancelled"):
		p.cancel()
	case p.rule.last(f):
		p.completed = true
	}
	t.keepEvent(p, f)
	return t.settle(p), true
}

// originate takes the OriginateResponse f, which may come while the Call's own
// session hands out a Part of it. Asterisk broadcasts it (manager.c
// fast_originate), so that those of other clients come here too.
func (t *Table) originate(session string, f *frames.Frame) *pending {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.calls[string(f.Get("ActionID"))]
	if p == nil || !p.sent || !p.WaitComplete || p.originated || p.WaitSession != session {
		return nil
	}
	p.seen, p.originated = true, true
	if !equalFold(f.Get("Response"), "Success") {
		p.failed, p.Cause = true, ErrOriginateFailed
	}
	t.append(p, f)
	if !p.complete() {
		return nil
	}
	if t.end(p, p.verdict()); p.handing {
		return nil
	}
	return p
}

// find returns the Call that a frame of session with that ActionID is about.
// Nothing answers an Action that was not sent.
func (t *Table) find(session string, actionID []byte) *pending {
	p := t.calls[string(actionID)]
	if p == nil || !p.sent || p.Session != session {
		return nil
	}
	return p
}

// listWithoutID returns the one list running on session that f, an event
// without ActionID, must be an item of: because its rule has such items, or
// because f was cut before it could name one. The cut item spoils the list.
func (t *Table) listWithoutID(session string, f *frames.Frame) *pending {
	var one *pending
	for _, p := range t.running {
		if p.Session != session || !f.Truncated && !(p.rule.has(itemsWithoutActionID) && p.rule.item(f.Name())) {
			continue
		}
		if one != nil {
			return nil
		}
		one = p
	}
	return one
}

// settle ends p if it is complete, and returns it if Deliver has to go on with
// it.
func (t *Table) settle(p *pending) *pending {
	if p.complete() {
		t.end(p, p.verdict())
	}
	if p.over || p.handing {
		return p
	}
	return nil
}

// privilege returns the value of a Privilege header directly after Event. It
// marks an event that Asterisk raised by itself (manager.c
// __manager_event_sessions_va) if it ends in ",all"; what answers an Action has
// none there, but for the ones that action_status and manager_sip_peer_status
// write by hand.
func privilege(f *frames.Frame) (value []byte, ok bool) {
	if len(f.Headers) < 2 || !equalFold(f.Headers[1].Key, "Privilege") {
		return nil, false
	}
	return f.Headers[1].Value, true
}

// equalFold compares ignoring case, as Asterisk does, without allocating: the
// conversion does not outlive the comparison.
func equalFold(b []byte, s string) bool {
	return len(b) == len(s) && strings.EqualFold(string(b), s)
}
