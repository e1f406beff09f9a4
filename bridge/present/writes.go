package present

import "time"

// Write is one message for the bucket.
type Write struct {
	Key   string
	Kind  Kind
	Value []byte // reused by the next Take into the same Write
	End   bool   // the key is to be purged
	// Revision is what the bucket has stored it as: who writes sets it before Done.
	Revision uint64
	// Unfit is that the bucket takes no value that is so large: who writes sets it before Done.
	Unfit bool

	o *object
}

// mark has o written: a value when the interval is over, an end at once. What never
// reached the bucket needs no end. An object waits once, whatever becomes of it
// meanwhile: the value is read when it is taken.
func (p *Present) mark(o *object) {
	switch {
	case o.life == half:
	case o.inFlight:
		o.again = true
	case o.life == dead:
		if o.there && o.links[toWrite].in != &p.soon {
			o.unlink(toWrite)
			p.enqueue(&p.soon, o, p.now)
		}
	case o.links[toWrite].in == nil:
		p.enqueue(&p.later, o, p.now+p.opts.Interval)
	}
}

func (p *Present) enqueue(c *chain, o *object, due time.Duration) {
	wasEmpty := c.first == nil
	o.due = due
	c.push(o)
	if wasEmpty && p.opts.Dirty != nil {
		p.opts.Dirty()
	}
}

// Take makes w the next write that is due: an end before any value. It reports false
// if none is. Each that was taken is to be told to Done; until then the key is not
// taken again.
func (p *Present) Take(w *Write, now time.Time) bool {
	p.enter(now)
	defer p.mu.Unlock()
	o := p.soon.first
	if o == nil {
		o = p.later.first
	}
	if o == nil || o.due > p.now {
		return false
	}
	o.unlink(toWrite)
	o.inFlight, o.again = true, false
	p.scratch = packed(appendKey(p.scratch[:0], p.opts.Server, o.kind, o.index))
	w.Key, w.Kind, w.Revision, w.Unfit, w.o = string(p.scratch), o.kind, 0, false, o
	w.End, w.Value = o.life != alive || o.unfit && o.there, w.Value[:0]
	if !w.End {
		w.Value = o.appendValue(w.Value)
	}
	return true
}

// Done says whether the bucket has taken w. What it has not is written again after
// the interval, as it is by then; the bucket may have it all the same. What is Unfit is tried
// again once it has changed, or at the next look. What the bucket has of it from before, which
// is not so any more, is purged.
func (p *Present) Done(w *Write, stored bool, now time.Time) {
	p.enter(now)
	defer p.mu.Unlock()
	o := w.o
	if o == nil || !o.inFlight {
		return
	}
	w.o = nil
	o.inFlight = false
	if !w.Unfit {
		o.there = !w.End || !stored
	}
	if stored {
		o.looked = p.looks
	}
	o.revision = max(o.revision, w.Revision)
	if !w.End {
		p.setUnfit(o, w.Unfit && o.life == alive)
	}
	switch {
	case !stored && !w.Unfit:
		p.enqueue(&p.later, o, p.now+p.opts.Interval)
	case o.again, !w.Unfit && w.End == (o.life == alive), w.Unfit && !w.End && o.there:
		p.mark(o)
	}
	p.forget(o)
}

// setUnfit notes whether o is larger than the bucket takes: then its kind is not kept right.
func (p *Present) setUnfit(o *object, unfit bool) {
	if o.unfit == unfit {
		return
	}
	if o.unfit = unfit; unfit {
		p.unfit[o.kind]++
	} else {
		p.unfit[o.kind]--
	}
}

// Next returns in how long something is due, and whether anything is. It is
// independent of now but for the time that has gone by.
func (p *Present) Next(now time.Time) (wait time.Duration, any bool) {
	p.enter(now)
	defer p.mu.Unlock()
	wait = -1
	for _, o := range []*object{p.soon.first, p.later.first} {
		if o != nil && (wait < 0 || o.due-p.now < wait) {
			wait = max(0, o.due-p.now)
		}
	}
	return max(0, wait), wait >= 0
}

// Rewrite has all that is up written anew: what the bucket has may be another's.
func (p *Present) Rewrite(now time.Time) {
	for l := range Lists {
		p.walk(l, now, func(o *object) bool { p.mark(o); return true })
	}
}

// Found says what the bucket has last of key, of a revision: a value, or its end. What is not
// p's own last write of it is another bridge's, or came late: an object that is held is
// written anew, and else Purge ends the key. It reports false for what is no key of this
// server's objects.
func (p *Present) Found(key string, revision uint64, ended bool, now time.Time) bool {
	server, k, ids, ok := ParseKey(key)
	if !ok || server != p.opts.Server {
		return false
	}
	p.enter(now)
	defer p.mu.Unlock()
	var index []byte
	for i, id := range ids {
		index = appendPart(index, id, i < len(ids)-1)
	}
	o := p.index[k][string(index)]
	switch {
	case o == nil && ended:
		return true
	case o == nil:
		// What the bucket has is never refused, for it has to end, and takes no
		// room from what is up.
		o = &object{kind: k, list: listsOf[k], index: string(index), uncounted: true}
		p.put(o)
	default:
		o.looked = p.looks
	}
	if o.inFlight || revision <= o.revision {
		return true // what is written is heard of later
	}
	o.revision = revision
	o.there = o.there || !ended
	switch {
	case o.life == alive:
		p.mark(o)
	case !ended:
		p.found = append(p.found, o)
	}
	return true
}

// Look says that the bucket is read from now on. Found is told what it has, and Looked once
// that is all.
func (p *Present) Look() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.looks++
}

// Looked says that all was Found that the bucket has had since Look. What is up, was written
// before and was not found is gone without a mark, by a purge of the stream or an age that
// somebody gave it. It is written anew, as is what was Unfit.
func (p *Present) Looked(now time.Time) {
	for l := range Lists {
		p.walk(l, now, func(o *object) bool {
			if !o.inFlight && o.looked != p.looks {
				p.mark(o)
			}
			return true
		})
	}
}

// Purge has what the bucket has and p does not purged. It is called when the first lists
// behind what was Found have ended: those that were refused too, for what nobody vouches
// for is not the present.
func (p *Present) Purge(now time.Time) {
	for more := true; more; {
		p.enter(now)
		n := min(chunk, len(p.found))
		for _, o := range p.found[:n] {
			if o.life == dead {
				p.mark(o)
			}
		}
		if p.found = p.found[n:]; len(p.found) == 0 {
			p.found, more = nil, false
		}
		p.mu.Unlock()
	}
}
