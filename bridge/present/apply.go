package present

import (
	"slices"
	"time"
)

// chunk is how many objects are brought right under one hold of the lock, so that
// the reader of events never waits for a long list: some tens of microseconds.
const chunk = 64

// Apply brings right what r's list tells of, once its last part has come. It reports
// false if the list ends nothing, because it came short or the event session is
// another by now. Nobody else may apply a list of the same server meanwhile.
func (p *Present) Apply(r *Run, now time.Time) bool {
	if why := r.short(); why != "" {
		p.Fail(r, why, now)
		return false
	}
	p.apply(r, "", now)
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.isCurrent(r)
}

// Fail ends r without a list: why is Asterisk's Message of an Error, or what else
// came between. It ends nothing; but where Asterisk says by an Error that there is
// none, that is an empty list and is applied, and reported as true. A list that this session is
// not given at all ends what nobody vouches for.
func (p *Present) Fail(r *Run, why string, now time.Time) (empty bool) {
	empty = r.ask.List.emptyBy(why)
	why = reason(why)
	switch {
	case len(r.items) > 0:
	case empty:
		p.apply(r, "", now)
		return true
	case why == denied || why == unknownAction:
		p.notGiven(r, why)
		p.apply(r, why, now)
		return false
	}
	p.enter(now)
	defer p.mu.Unlock()
	p.closeRun(r)
	if !p.isCurrent(r) {
		return false
	}
	p.fail(r, why)
	return false
}

// fail notes why r's list is not kept. p is locked.
func (p *Present) fail(r *Run, why string) {
	p.lists[r.ask.List].why = why
	p.lists[r.ask.List].asked = true
	if r.ask.List == Conferences { // nobody is asked for then
		p.lists[Participants].why = why
	}
	p.endFirstRound()
}

// notGiven has r, which comes without items, end what is left from before the login and of which
// no event has told since: a Hangup may have been missed, and no list will tell of it. What
// depends on a channel that is up ends with that. Where the list has come in this session its
// module was unloaded since, and all that it had is gone.
func (p *Present) notGiven(r *Run, why string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if why == denied || !p.lists[r.ask.List].synced {
		r.mark, r.before = p.session.mark, true
	}
}

// Retry ends r, whose Action never came to Asterisk or whose session was lost, and asks
// for the list again from at on. It ends nothing.
func (p *Present) Retry(r *Run, at, now time.Time) {
	p.enter(now)
	defer p.mu.Unlock()
	p.closeRun(r)
	if p.isCurrent(r) {
		p.want(r.ask, at.Sub(p.began))
	}
}

// isCurrent reports whether the event session is the one of r's watermark.
func (p *Present) isCurrent(r *Run) bool {
	return r.epoch == p.session.epoch && p.session.state != Stale
}

// apply applies r, which is not kept because of why, "" if it is.
func (p *Present) apply(r *Run, why string, now time.Time) {
	items := r.items
	for {
		p.enter(now)
		if !p.isCurrent(r) {
			p.closeRun(r)
			p.mu.Unlock()
			return
		}
		if r.applied == 0 && r.scope == "" {
			p.lists[r.ask.List].full = false
		}
		n := min(chunk, len(items))
		for i := range items[:n] {
			p.applyItem(r, &items[i])
			r.applied++
		}
		items = items[n:]
		if len(items) == 0 {
			break
		}
		p.mu.Unlock()
	}
	p.mu.Unlock()
	p.sweep(r, r.ask.List, now)
	if r.ask.List == Conferences {
		p.sweep(r, Participants, now)
	}
	if r.ask.List == Queues && why == "" {
		p.count(r, now)
	}
	p.finish(r, why, now)
}

// applyItem: what events told of an object behind the watermark stays as it is, field
// by field; all else is the list's.
func (p *Present) applyItem(r *Run, it *listed) {
	if !p.opts.Keep.Has(it.kind) {
		return
	}
	o := p.index[it.kind][it.index]
	in := &r.in
	in.vals, in.idBuf = it.vals, append(in.idBuf[:0], it.index...)
	in.since, in.until, in.at, in.sip = it.since, it.until, it.at, it.sip
	if o != nil && o.life == alive {
		o.seen, o.order = r.number, r.applied
		if o.stamp > r.mark {
			in.vals = in.vals.but(in.scratch[:0], o.fields)
		}
		p.keepRealtime(o, in)
		if p.change(o, in, fromList) {
			p.correct(it.kind, Changed)
		}
		return
	}
	if p.isEnded(it) || p.isElsewhere(r, it) {
		return
	}
	if o != nil && o.isBuried() {
		if o.stamp > r.mark {
			return
		}
		if r.asked-o.ended < tombstoneAge {
			p.want(r.ask, o.ended+tombstoneAge)
			return
		}
	}
	if o != nil && o.life == half && o.stamp <= r.mark {
		o.vals = o.vals[:0] // the list is newer
	}
	if o = p.begin(it.kind, o, in, fromList); o != nil {
		o.seen, o.order = r.number, r.applied
		p.correct(it.kind, Begun)
		if it.kind == Contact {
			p.unlisted.forget(p.hash(in.idBuf))
		}
	}
}

// keepRealtime: the list calls members from a realtime table static (app_queue.c
// manager_queues_status); what the event said stands.
func (p *Present) keepRealtime(o *object, in *input) {
	if o.kind != Member {
		return
	}
	if held, _ := o.vals.field(memberShip); string(held) != "realtime" {
		return
	}
	if listed, _ := in.vals.field(memberShip); string(listed) == "static" {
		in.vals = in.vals.with(nil, memberShip, len(kinds[Member].fields), []byte("realtime"))
	}
}

// isEnded reports whether the channel that an item depends on has ended in this
// session: no list begins that again.
func (p *Present) isEnded(it *listed) bool {
	id := []byte(it.index)
	switch it.kind {
	case Channel:
	case Caller, Parked, Participant:
		id, _ = it.vals.field(kinds[it.kind].owner)
	default:
		return false
	}
	return p.ended.holds(p.hash(id))
}

// isElsewhere reports whether the channel that an item depends on has entered a
// bridge behind the watermark, and so waits in no queue, or has lost its place to
// another, which the next list has.
func (p *Present) isElsewhere(r *Run, it *listed) bool {
	if it.kind != Caller && it.kind != Parked && it.kind != Participant {
		return false
	}
	id, _ := it.vals.field(kinds[it.kind].owner)
	if it.kind == Caller {
		return p.entered[p.hash(id)] > r.mark
	}
	if p.swapped[p.hash(id)] <= r.mark {
		return false
	}
	p.want(r.ask, p.now)
	return true
}

// sweep ends what l holds and the list does not, but for what an event touched
// behind the watermark.
func (p *Present) sweep(r *Run, l List, now time.Time) {
	p.walk(l, now, func(o *object) (more bool) {
		if !p.isCurrent(r) {
			return false
		}
		if p.isGone(r, l, o) {
			p.endByList(r, o, now)
		}
		return true
	})
}

func (p *Present) isGone(r *Run, l List, o *object) bool {
	if o.seen == r.number || o.stamp > r.mark {
		return false
	}
	if c := p.index[Channel][o.owner]; r.before && c != nil && c.life == alive {
		return false
	}
	if l != r.ask.List { // participants, by the list of conferences
		c := p.index[Conference][firstID(o.kind, o.index)]
		return c == nil || c.life != alive
	}
	return r.scope == "" || firstID(o.kind, o.index) == r.scope
}

func (p *Present) endByList(r *Run, o *object, now time.Time) {
	if o.kind == Contact {
		p.unlisted.add(p.hash([]byte(o.index)))
	}
	p.correct(o.kind, Ended)
	o.at = now.UnixNano()
	p.end(o, fromList)
}

// finish closes r, whose list is applied.
func (p *Present) finish(r *Run, why string, now time.Time) {
	p.enter(now)
	defer p.mu.Unlock()
	p.closeRun(r)
	if !p.isCurrent(r) {
		return
	}
	if why != "" {
		p.fail(r, why)
		return
	}
	h := &p.lists[r.ask.List]
	h.asked = true
	if r.ask.Scope == "" {
		h.why = ""
	}
	if r.ask.Scope == "" || r.ask.List == Participants {
		h.synced = true
	}
	if r.ask.List == Conferences {
		p.wantParticipants()
	}
	p.endFirstRound()
}

// count brings right what events about a queue can only tell of if all its callers are
// held, which behind the watermark they may not have been: who is where, and how many
// there are.
func (p *Present) count(r *Run, now time.Time) {
	p.enter(now)
	queues := slices.Clone(p.lists[Queues].objects)
	p.mu.Unlock()
	for _, o := range queues {
		// What an object is, and its index, never change.
		if o.kind != Queue || r.scope != "" && r.scope != o.index {
			continue
		}
		p.enter(now)
		if p.isCurrent(r) && o.life == alive {
			p.rank(r, o, now)
		}
		p.mu.Unlock()
	}
}

// rank numbers the callers of a queue: two that the list has stay as they stand
// there, and who has joined since is behind them. Where one was let in before others
// the queue is listed once more.
func (p *Present) rank(r *Run, queue *object, now time.Time) {
	all := p.waiting[queue.index]
	slices.SortStableFunc(all, func(a, b *object) int {
		x, y := a.seen == r.number, b.seen == r.number
		switch {
		case x && y:
			return a.order - b.order
		case x:
			return -1
		case y:
			return 1
		}
		return 0
	})
	p.renumber(queue.index, fromList)
	for _, o := range all {
		if o.jumped && o.seen != r.number {
			name, _ := queue.vals.field(0)
			p.want(Ask{Queues, string(name)}, p.now)
		}
	}
	p.setField(queue, queueCalls, appendNumber(nil, len(all)), now, fromList)
}

// wantParticipants asks for who takes part in each conference.
func (p *Present) wantParticipants() {
	p.lists[Participants].why, p.lists[Participants].full = "", false
	for _, o := range p.lists[Conferences].objects {
		name, _ := o.vals.field(0)
		p.want(Ask{Participants, string(name)}, p.now)
	}
	if len(p.lists[Conferences].objects) == 0 {
		p.lists[Participants].synced, p.lists[Participants].asked = true, true
	}
}

// closeRun drops what was kept for r: halves that no other run of its list waits for.
func (p *Present) closeRun(r *Run) {
	p.open = slices.DeleteFunc(p.open, func(o *Run) bool { return o == r })
	if !p.isOpen(r.ask.List) {
		p.dropHalves(&p.lists[r.ask.List])
	}
}

// isOpen reports whether a run of l has not ended.
func (p *Present) isOpen(l List) bool {
	for _, r := range p.open {
		if r.ask.List == l {
			return true
		}
	}
	return false
}

func (p *Present) dropHalves(h *held) {
	for _, o := range h.halves {
		if o.life == half {
			o.life = dead
			p.bytes -= int64(cap(o.vals))
			o.vals = nil
			p.mark(o)
			p.forget(o)
		}
	}
	h.halves = nil
}
