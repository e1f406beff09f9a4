package bridge

import "slices"

// What an outbox does when there is no room. All of it runs with the outbox's
// lock held and never waits.

// dropOldest drops the oldest events that wait until a sixteenth of the outbox
// is free of them, so that the hole is one, with one Gap, and not one before
// every event. It reports whether there was any.
func (o *outbox) dropOldest(reason string) bool {
	target := o.bytes - o.limit/16
	var holes []*gap
	var session string
	fresh := &gap{reason: reason}
	for o.bytes > target && o.waits.Len() > 0 {
		s := o.waits.PopFront()
		o.free(&s)
		switch {
		case s.dead:
			o.dead--
		case s.hole == nil:
			o.count(&s, reason)
			fresh.add(s.at)
			session = s.session
		default:
			holes = mergeGap(holes, s.hole)
			session = s.session
		}
	}
	dropped := fresh.lost > 0
	if dropped {
		holes = mergeGap(holes, fresh)
	}
	for _, hole := range slices.Backward(holes) {
		o.waits.PushFront(o.gapSlot(session, hole))
		if hole.reason == dropShed {
			o.shedding = hole
		}
	}
	if dropped {
		o.judge(true)
	}
	return dropped
}

// mergeGap adds hole to the one of its reason, or to the list.
func mergeGap(holes []*gap, hole *gap) []*gap {
	for _, h := range holes {
		if h.reason == hole.reason {
			h.merge(hole)
			return holes
		}
	}
	return append(holes, hole)
}

// count takes a waiting event out of the books as dropped.
func (o *outbox) count(s *slot, reason string) {
	o.dropped[reason]++
	o.queued--
	if s.shed {
		o.sheddable--
	}
}

// lose drops the event that has just come. Its Gap is the last that waits.
func (o *outbox) lose(e outboxEntry, reason string) {
	o.dropped[reason]++
	if o.waits.Len() > 0 {
		if last := o.waits.At(o.waits.Len() - 1).hole; last != nil && last.reason == reason {
			last.add(e.at)
			return
		}
	}
	hole := &gap{reason: reason}
	hole.add(e.at)
	o.waits.PushBack(o.gapSlot(e.session, hole))
	o.judge(true)
}

// shedOldest drops the oldest of what is to be shed first until a quarter of
// the outbox is free or none is left. One Gap, where the first was, tells of
// them all: between the others are events that stay.
func (o *outbox) shedOldest() {
	for i := 0; i < o.waits.Len() && o.sheddable > 0 && o.bytes > o.limit/4*3; i++ {
		if s := o.waits.At(i); s.shed && !s.dead && s.hole == nil {
			o.queued--
			o.sheddable--
			o.shed(s, s.outboxEntry)
		}
	}
	if o.dead > o.waits.Len()/2 {
		o.compact()
	}
}

// compact takes out what was shed.
func (o *outbox) compact() {
	for range o.waits.Len() {
		s := o.waits.PopFront()
		if s.dead {
			o.free(&s)
			continue
		}
		o.waits.PushBack(s)
	}
	o.dead = 0
}

// shed drops an event that SHED_FIRST names: the one in s, or, without a slot,
// the one that has just come.
func (o *outbox) shed(s *slot, e outboxEntry) {
	o.dropped[dropShed]++
	fresh := o.shedding == nil
	if fresh {
		o.shedding = &gap{reason: dropShed}
	}
	o.shedding.add(e.at)
	if s != nil {
		o.free(s)
	}
	switch {
	case fresh && s != nil:
		*s = o.gapSlot(e.session, o.shedding)
	case fresh:
		o.waits.PushBack(o.gapSlot(e.session, o.shedding))
	case s != nil:
		*s = slot{dead: true}
		o.dead++
		o.charge(s.cost(), true)
	}
	o.judge(true)
}

// gapSlot numbers a Gap and pays for it. A Gap is never refused for want of
// room: there is one for each sixteenth of an outbox, or for each lost session;
// or, while what is in flight fills it, one for each event that is, at most.
func (o *outbox) gapSlot(session string, hole *gap) slot {
	o.gaps++
	s := slot{outboxEntry: outboxEntry{subject: o.subject, session: session, gap: o.gaps, at: hole.to}, hole: hole}
	o.charge(s.cost(), true)
	return s
}

// judge raises the alarm when the outbox begins to fill, drops or is drained.
func (o *outbox) judge(dropping bool) {
	if now := o.level.next(o.bytes, o.limit, dropping); now != o.level {
		o.level = now
		o.alarm()
	}
}

// level is how full a buffer is.
type level uint8

const (
	levelNormal level = iota
	levelHigh         // over 80 %
	levelFull         // something was refused or dropped
)

func (l level) String() string { return [...]string{"normal", "high", "full"}[l] }

// next returns the level at depth. Once high it stays so until the buffer is
// under 20 %: a buffer at the edge does not flutter.
func (l level) next(depth, capacity int64, refused bool) level {
	switch {
	case refused:
		return levelFull
	case depth*5 < capacity:
		return levelNormal
	case depth*5 > capacity*4:
		return max(l, levelHigh)
	}
	return l
}
