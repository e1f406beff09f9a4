package correlation

import (
	"bytes"
	"strings"

	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
)

// Deliver takes a frame that session has read, and calls Done if a Call is
// complete with it. It reports whether the frame was part of a reply and so is
// no event to publish: every Response is, and every item and completion of a
// list; an OriginateResponse is not, though it may end a Call. f is only used
// during the call.
//
// A Response answers the Call of exactly that ActionID on exactly that session
// and after Sent; one that fits none is counted in Stats as Late or Unmatched.
func (t *Table) Deliver(session string, f *frames.Frame) (consumed bool) {
	switch f.Kind() {
	case frames.KindResponse:
		if p := t.response(session, f); p != nil {
			p.Done(&p.Result)
		}
		return true
	case frames.KindEvent:
		p, consumed := t.event(session, f)
		if p != nil {
			p.Done(&p.Result)
		}
		return consumed
	}
	return false
}

// response takes the Response f and returns the Call that it ended, if any.
func (t *Table) response(session string, f *frames.Frame) *pending {
	t.mu.Lock()
	defer t.mu.Unlock()
	id := f.Get("ActionID")
	p := t.find(session, id)
	if p == nil {
		if t.ended.has(session, id) {
			t.late++
		} else {
			t.unmatched++
		}
		return nil
	}
	p.seen = true
	running := p.running()
	p.respond(f)
	if !running && p.running() {
		t.running = append(t.running, p)
	}
	t.keepResponse(p, f)
	return t.settle(p)
}

// event takes the event f and returns the Call that it ended, if any.
func (t *Table) event(session string, f *frames.Frame) (ended *pending, consumed bool) {
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
		if t.ended.has(session, id) {
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

// originate takes the OriginateResponse f and returns the Call that it ended,
// if any. Asterisk broadcasts it (manager.c fast_originate), so that those of
// other clients come here too.
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
	t.keepEvent(p, f)
	return t.settle(p)
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

// settle ends p if it is complete, and then returns it.
func (t *Table) settle(p *pending) *pending {
	if !p.complete() {
		return nil
	}
	t.end(p, p.verdict())
	return p
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
