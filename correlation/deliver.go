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
// Unmatched. A piece of a long one goes where the first went.
func (t *Table) Deliver(session string, f *frames.Frame) (consumed bool) {
	var p *pending
	switch f.Kind() {
	case frames.KindResponse:
		if !f.Continues {
			t.answered(session, f.Get("ActionID"))
		}
		var onProbe func()
		p, onProbe = t.response(session, f)
		consumed = true
		if onProbe != nil {
			defer onProbe()
		}
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
// has ended; and what to call when it has, if anything.
func (t *Table) response(session string, f *frames.Frame) (next *pending, onProbe func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.answers(session, f)
	if p == nil {
		return nil, nil
	}
	running := p.running()
	switch {
	case f.Continues:
		t.addPiece(p, f)
	case !p.pong(f):
		p.respond(f)
		t.addResponse(p, f)
	}
	if p.unfinished = f.More; f.More {
		t.long[session] = p
	}
	if !running && p.running() {
		t.running = append(t.running, p)
		if p.announced {
			onProbe = p.Probe
		}
	}
	if p.awaitsOriginate() {
		t.vacate(p)
	}
	return t.endIfComplete(p), onProbe
}

// answers returns the Call that the Response f, or a piece of it, answers, if it
// has not ended. One that fits none is counted.
func (t *Table) answers(session string, f *frames.Frame) *pending {
	if f.Continues {
		p := t.long[session]
		delete(t.long, session)
		if p == nil || p.over {
			return nil
		}
		return p
	}
	p := t.find(session, f.Get("ActionID"))
	if p == nil {
		t.missed(session, f)
	}
	return p
}

// Streams says whether the Response of session that begins with head, and is too
// long to be kept, is to be handed out in pieces: it answers a Call with Part, and
// has Output in it.
func (t *Table) Streams(session string, head *frames.Frame) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.find(session, head.Get("ActionID"))
	if p == nil || p.Part == nil {
		return false
	}
	return strings.EqualFold(p.Action, "Command") || hasOutput(head)
}

// Answered says that session has answered another Action, a Ping. So whatever was
// announced in words only is whole: Asterisk answers the Actions of a session one
// after another.
func (t *Table) Answered(session string) { t.answered(session, nil) }

// answered is Answered by the Response to actionID.
func (t *Table) answered(session string, actionID []byte) {
	if p := t.endAnnounced(session, actionID); p != nil {
		p.Done(&p.Result)
	}
}

// endAnnounced ends the Call whose list, announced in words only, is whole, and
// returns it if Done is to be called.
func (t *Table) endAnnounced(session string, actionID []byte) *pending {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, p := range t.running {
		if p.announced && p.Session == session && p.ActionID != string(actionID) {
			p.completed = true
			if !p.complete() {
				return nil
			}
			t.end(p, p.verdict())
			return p
		}
	}
	return nil
}

// event takes the event f.
func (t *Table) event(session string, f *frames.Frame) (next *pending, consumed bool) {
	name := f.Name()
	if Async(f) {
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
		ended := t.ended.find(session, id)
		if ended == nil {
			forgotten := bytes.Contains(id, []byte("."+session+"."))
			if forgotten { // it may hold what only a reply hides
				t.unmatched++
			}
			return nil, forgotten
		}
		t.late++
		if ended.whole {
			t.strays++
			t.stray = ended.action
		}
		return nil, true
	}
	if !p.takes(f) {
		return nil, false
	}
	p.seen = true
	switch {
	case equalFold(f.Get("EventList"), "cancelled"):
		p.cancel()
	case p.last(f):
		p.completed = true
	}
	t.addEvent(p, f)
	return t.endIfComplete(p), true
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

// endIfComplete ends p if it is complete, and returns it if Deliver has to go on with
// it.
func (t *Table) endIfComplete(p *pending) *pending {
	if p.complete() {
		t.end(p, p.verdict())
	}
	if p.over || p.handing {
		return p
	}
	return nil
}

// Async reports whether the event f is one that Asterisk raised by itself. Deliver
// then reports false, though f may end a Call as its OriginateResponse.
func Async(f *frames.Frame) bool {
	value, ok := privilege(f)
	return ok && bytes.HasSuffix(value, []byte(",all"))
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
