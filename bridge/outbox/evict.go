package outbox

import "slices"

// What an outbox does when there is no room. All of it runs with the outbox's
// lock held and never waits.

// dropOldest drops the oldest events that wait until a sixteenth of the outbox
// is free of them, so that the hole is one, with one Gap, and not one before
// every event. It reports whether there was any.
func (o *Outbox) dropOldest(reason string) bool {
	if o.share != nil && o.share.leads == nil {
		return o.giveUp(o.bytes - o.limit/16)
	}
	target := o.bytes - o.limit/16
	var gaps []*Gap
	var session string
	fresh := &Gap{Reason: reason}
	for o.bytes > target && o.waiting.Len() > 0 {
		s := o.waiting.PopFront()
		o.free(&s)
		switch {
		case s.tombstone:
			o.tombstones--
		case s.gap == nil:
			o.count(&s, reason)
			fresh.add(s.At)
			session = s.Session
		default:
			gaps = mergeGap(gaps, s.gap)
			session = s.Session
		}
	}
	dropped := fresh.Lost > 0
	if dropped {
		gaps = mergeGap(gaps, fresh)
	}
	for _, gap := range slices.Backward(gaps) {
		o.waiting.PushFront(o.gapSlot(session, gap))
		if gap.Reason == DropShed {
			o.shedding = gap
		}
	}
	if dropped {
		o.updateLevel(true)
	}
	return dropped
}

// mergeGap adds hole to the one of its reason, or to the list.
func mergeGap(gaps []*Gap, gap *Gap) []*Gap {
	for _, h := range gaps {
		if h.Reason == gap.Reason {
			h.merge(gap)
			return gaps
		}
	}
	return append(gaps, gap)
}

// count takes a waiting event out of the books as dropped.
func (o *Outbox) count(s *slot, reason string) {
	o.dropped[reason]++
	o.queued--
	if s.shed {
		o.sheddable--
	}
}

// lose drops the event that has just come. Its Gap is the last that waits.
func (o *Outbox) lose(e Entry, reason string) {
	o.dropped[reason]++
	if o.waiting.Len() > 0 {
		if last := o.waiting.At(o.waiting.Len() - 1).gap; last != nil && last.Reason == reason {
			last.add(e.At)
			return
		}
	}
	gap := &Gap{Reason: reason}
	gap.add(e.At)
	o.waiting.PushBack(o.gapSlot(e.Session, gap))
	o.updateLevel(true)
}

// shedOldest drops the oldest of what is to be shed first until a quarter of
// the outbox is free or none is left. One Gap, where the first was, tells of
// them all: between the others are events that stay.
func (o *Outbox) shedOldest() {
	for i := 0; i < o.waiting.Len() && o.sheddable > 0 && o.bytes > o.limit/4*3; i++ {
		if s := o.waiting.At(i); s.shed && !s.tombstone && s.gap == nil {
			o.queued--
			o.sheddable--
			o.shed(s, s.Entry)
		}
	}
	if o.tombstones > o.waiting.Len()/2 {
		o.compact()
	}
}

// compact takes out what was shed.
func (o *Outbox) compact() {
	for range o.waiting.Len() {
		s := o.waiting.PopFront()
		if s.tombstone {
			o.free(&s)
			continue
		}
		o.waiting.PushBack(s)
	}
	o.tombstones = 0
}

// shed drops an event that SHED_FIRST names: the one in s, or, without a slot,
// the one that has just come.
func (o *Outbox) shed(s *slot, e Entry) {
	o.dropped[DropShed]++
	fresh := o.shedding == nil
	if fresh {
		o.shedding = &Gap{Reason: DropShed}
	}
	o.shedding.add(e.At)
	if s != nil {
		o.free(s)
	}
	switch {
	case fresh && s != nil:
		*s = o.gapSlot(e.Session, o.shedding)
	case fresh:
		o.waiting.PushBack(o.gapSlot(e.Session, o.shedding))
	case s != nil:
		*s = slot{tombstone: true}
		o.tombstones++
		o.charge(s.cost(), true)
	}
	o.updateLevel(true)
}

// gapSlot numbers a Gap and pays for it. A Gap is never refused for want of
// room: there is one for each sixteenth of an outbox, or for each lost session;
// or, while what is in flight fills it, one for each event that is, at most.
func (o *Outbox) gapSlot(session string, gap *Gap) slot {
	o.gaps++
	s := slot{Entry: Entry{Subject: o.subject, Session: session, Gap: o.gaps, At: gap.To}, gap: gap}
	o.charge(s.cost(), true)
	return s
}

// updateLevel raises the alarm when the outbox begins to fill, drops or is drained.
func (o *Outbox) updateLevel(dropping bool) {
	if now := o.level.Next(o.bytes, o.limit, dropping); now != o.level {
		o.level = now
		o.notify()
	}
}

// Level is how full a buffer is.
type Level uint8

const (
	LevelNormal Level = iota
	LevelHigh         // over 80 %
	LevelFull         // something was refused or dropped
)

func (l Level) String() string { return [...]string{"normal", "high", "full"}[l] }

// Next returns the level at depth. Once high it stays so until the buffer is
// under 20 %: a buffer at the edge does not flutter.
func (l Level) Next(depth, capacity int64, refused bool) Level {
	switch {
	case refused:
		return LevelFull
	case depth*5 < capacity:
		return LevelNormal
	case depth*5 > capacity*4:
		return max(l, LevelHigh)
	}
	return l
}
