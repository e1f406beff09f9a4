package present

import (
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
)

// Where a value came from, as it says itself.
const (
	fromEvent = "event"
	fromList  = "list"
)

// tombstoneAge is for how long a list that is asked for does not begin again what an
// event has ended: ParkedCallGiveUp, ParkedCallTimeOut and ConfbridgeLeave are
// published before Asterisk takes the object out (parking_bridge.c,
// app_confbridge.c).
const tombstoneAge = 10 * time.Second

// Reduce takes the next event of the event session, before anything filters it; at
// is when it was read. It keeps nothing of f. The reader of the session calls it: it
// takes the lock, which nobody holds across a wait, and allocates nothing unless
// something begins or grows.
func (p *Present) Reduce(f *frames.Frame, at time.Time) {
	p.enter(at)
	defer p.mu.Unlock()
	p.events++
	p.bury()
	block, name, listed := -1, []byte(nil), false
	for i := range f.Headers {
		switch key := f.Headers[i].Key; len(key) {
		case len("Event"):
			if name == nil && is(key, "Event") {
				name = f.Headers[i].Value
			}
		case len("Channel"):
			if block < 0 && i+1 < len(f.Headers) && is(key, "Channel") && is(f.Headers[i+1].Key, "ChannelState") {
				block = i
			}
		case len("ActionID"):
			listed = listed || is(key, "ActionID")
		}
	}
	// An ActionID is on no event that Asterisk raises by itself but for
	// OriginateResponse and UserEvent, which tell nothing here: what has one is the
	// item of a list.
	if listed || name == nil {
		return
	}
	what := touches[string(name)]
	// A UserEvent has whatever headers its sender likes.
	if block >= 0 && string(name) != "UserEvent" && !ofChannel(what) {
		p.in.reset(f, at)
		p.in.from = block
		p.touch(touch{Channel, changes, nil})
	}
	for i := range what {
		p.in.reset(f, at)
		if block >= 0 && what[i].kind == Channel {
			p.in.from = block
		}
		p.touch(what[i])
	}
	if what == nil {
		p.tells(f, name)
	}
}

// ofChannel reports whether what is done to the channel of an event's block is
// among what.
func ofChannel(what []touch) bool {
	for i := range what {
		if what[i].kind == Channel {
			return true
		}
	}
	return false
}

// tells hears events that are about no object.
func (p *Present) tells(f *frames.Frame, name []byte) {
	switch string(name) {
	case "FullyBooted":
		p.boot()
	case "Reload", "Load", "Unload": // the last two since 16
		p.allDue()
	}
}

// touch does what an event does to one object.
func (p *Present) touch(t touch) {
	in := &p.in
	in.effect = t.effect
	if t.rule != nil {
		t.rule(p, in)
	}
	if in.skip || !p.opts.Keep.Has(t.kind) {
		return
	}
	if !in.read(t.kind) {
		if in.lacks != "" && in.effect == begins {
			p.lacks[t.kind] = in.lacks
		}
		return
	}
	o := p.index[t.kind][string(in.idBuf)]
	switch in.effect {
	case ends:
		p.endBy(o, t.kind)
	case begins:
		if o == nil || o.life != alive {
			if o = p.begin(t.kind, o, in, fromEvent); o != nil {
				p.stamp(o, in.fields)
				o.jumped = in.jumped
			}
			return
		}
		p.stamp(o, in.fields)
		p.change(o, in, fromEvent)
	case changes:
		if o = p.known(o, t.kind); o != nil {
			p.stamp(o, in.fields)
			p.change(o, in, fromEvent)
		}
	}
}

// endBy ends what an event ends. What nothing had begun leaves a tombstone too, for
// a list may be under way; a channel's Uniqueid is remembered anyway.
func (p *Present) endBy(o *object, k Kind) {
	if o == nil {
		if k == Channel {
			return
		}
		if o = p.add(k, p.in.idBuf, listOf(k, p.in.sip)); o == nil {
			return
		}
	}
	p.end(o, fromEvent)
}

// known returns the object that an event changes. Only a beginning begins one, but
// while a list is under way what events say of others is kept, for the list may be
// older than they are.
func (p *Present) known(o *object, k Kind) *object {
	if o != nil && (o.life != dead || o.isBuried()) {
		if o.life == dead {
			return nil
		}
		return o
	}
	l := listOf(k, p.in.sip)
	if !p.isOpen(l) {
		return nil
	}
	if o == nil {
		if o = p.add(k, p.in.idBuf, l); o == nil {
			return nil
		}
	} else if o.uncounted && !p.charge(o) {
		return nil
	}
	o.life, o.list = half, l
	p.lists[l].halves = append(p.lists[l].halves, o)
	return o
}

// bury forgets tombstones whose time is over, and of which no list under way was asked
// for before that: a few each time, so that nobody waits.
func (p *Present) bury() {
	for range 4 {
		o := p.graves.first
		if o == nil || p.now-o.ended < tombstoneAge {
			return
		}
		for _, r := range p.open {
			if r.epoch == p.session.epoch && r.asked-o.ended < tombstoneAge {
				return
			}
		}
		o.unlink(toBury)
		p.forget(o)
	}
}
