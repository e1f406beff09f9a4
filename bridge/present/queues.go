package present

import "slices"

// ruleJoin: who joins may be let in before others.
func ruleJoin(_ *Present, in *input) {
	in.since = in.at.UnixNano()
	in.place = number(in.get("Position"))
	in.jumped = in.place < number(in.get("Count"))
}

// join puts a caller where it joined its queue. Position is never taken from
// a header: those behind one who joins or leaves move, which no event says
// (app_queue.c insert_entry, leave_queue), and events that a list was ahead of come
// with places of their time.
func (p *Present) join(o *object, place int, source string) {
	queue := firstID(Caller, o.index)
	all := p.waiting[queue]
	at := len(all)
	if place > 0 {
		at = min(at, place-1)
	}
	p.waiting[queue] = slices.Insert(all, at, o)
	o.place = 0
	p.renumber(queue, source)
}

// leave takes a caller that has ended out of its queue.
func (p *Present) leave(o *object, source string) {
	queue := firstID(Caller, o.index)
	drop(p.waiting, queue, o)
	p.renumber(queue, source)
}

// renumber sets the Position of each caller of queue.
func (p *Present) renumber(queue, source string) {
	for i, o := range p.waiting[queue] {
		if o.place == i+1 {
			continue
		}
		o.place = i + 1
		p.setField(o, callerPosition, appendNumber(nil, o.place), p.began.Add(p.now), source)
	}
}

// recount sets a queue's Calls after a caller has ended without QueueCallerLeave.
func (p *Present) recount(o *object) {
	if o.kind != Caller {
		return
	}
	queue := firstID(Caller, o.index)
	if q := p.index[Queue][queue]; q != nil && q.life == alive {
		p.setField(q, queueCalls, appendNumber(nil, len(p.waiting[queue])), p.began.Add(p.now), fromEvent)
	}
}

// ruleCount asks for a queue of which Asterisk counts more callers, or fewer, than
// are held.
func ruleCount(p *Present, in *input) {
	queue, count := in.get("Queue"), in.get("Count")
	if !p.lists[Queues].synced || count == nil || !in.indexOf(queue) {
		return
	}
	if number(count) != len(p.waiting[string(in.idBuf)]) {
		p.want(Ask{Queues, string(text(queue, in.charset, &in.scratch))}, p.now)
	}
}
