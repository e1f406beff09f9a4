package view

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// drops are what a server's outbox loses.
type drops struct {
	counted counter   // the sum over all reasons
	reason  string    // of the last one
	since   time.Time // of the first of those that go on
	last    time.Time
	count   uint64 // since then
	untold  bool   // no Gap has told of them yet
}

// going says whether drops go on at the time now, of a server that says how they stand
// once an interval.
func (d *drops) going(now time.Time, interval time.Duration) bool {
	return !d.last.IsZero() && now.Sub(d.last) <= losingIntervals*interval
}

func (s *server) takeBuffers(about *news, msg *buffersMsg) {
	if about.at.Before(s.buffersAt) {
		return
	}
	// All of msg is kept: no text in it may be long.
	msg.Trigger = cleanTo(msg.Trigger, 16)
	msg.Dropped = boundCounts(msg.Dropped)
	for _, b := range []*Buffer{&msg.Outbox, &msg.Write, &msg.Pending} {
		b.bound()
	}
	before := s.buffers
	if before != nil && msg.Received < before.Received { // another process
		s.in, s.out, s.actions, s.growth, s.drops.counted = counter{}, counter{}, counter{}, growth{}, counter{}
		before = nil
	}
	if more, ok := s.in.add(msg.Received, about.at); ok {
		s.inPast.add(about.at, ringStep, more)
	}
	if more, ok := s.out.add(msg.Published, about.at); ok {
		s.outPast.add(about.at, ringStep, more)
	}
	s.takeActions(about, msg.Actions)
	s.growth.add(msg.Outbox.Bytes, about.at)
	s.dropped(about, before, msg)
	s.leveled(about, msg)
	s.buffers, s.buffersAt = msg, about.at
	if left, _, ok := about.m.fills(s, about.at); ok && left < forecastNear {
		if s.nearAt.IsZero() {
			s.nearAt = about.at
		}
	} else {
		s.nearAt = time.Time{}
	}
}

// dropped notes what was lost between the message before, if there is one, and msg.
func (s *server) dropped(about *news, before, msg *buffersMsg) {
	more, ok := s.drops.counted.add(sum(msg.Dropped), about.at)
	if !ok || more == 0 {
		return
	}
	d := &s.drops
	if !d.going(about.at, about.m.interval(about.node)) {
		d.since, d.count = about.at, 0
	}
	d.reason, d.last, d.untold = mostDropped(before, msg), about.at, true
	d.count += more
	about.m.lost.add(about.at, more)
	// Once for each reason, as long as they go on.
	about.m.changes.add(change(about.at, s.name, "", "drops "+d.reason+d.since.String(), "drops begin: "+d.reason))
}

// sum is that of the drops for all reasons.
func sum(dropped map[string]uint64) (n uint64) {
	for _, more := range dropped {
		n += more
	}
	return n
}

// mostDropped is the reason of which most were dropped between two messages.
func mostDropped(before, msg *buffersMsg) (most string) {
	more := uint64(0)
	for _, reason := range slices.Sorted(maps.Keys(msg.Dropped)) {
		n := msg.Dropped[reason]
		if before != nil {
			n -= min(before.Dropped[reason], n)
		}
		if n > more {
			most, more = reason, n
		}
	}
	return most
}

// leveled notes since when a buffer is not normal.
func (s *server) leveled(about *news, msg *buffersMsg) {
	for _, b := range []struct {
		name string
		Buffer
	}{{"outbox", msg.Outbox}, {"write buffer", msg.Write}, {"pending actions", msg.Pending}} {
		switch {
		case b.Level == "high":
			about.m.changes.add(change(about.at, s.name, "", b.name, b.name+" over 80 %"))
		case b.Level == "full":
			about.m.changes.add(change(about.at, s.name, "", b.name, b.name+" full"))
		case s.buffers != nil && msg.Trigger == "drained":
			about.m.changes.addAfter(change(about.at, s.name, "", b.name, b.name+" drained"))
		}
	}
	switch {
	case msg.Outbox.isNormal() && msg.Write.isNormal() && msg.Pending.isNormal():
		s.levelAt = time.Time{}
	case s.levelAt.IsZero():
		s.levelAt = about.at
	}
}

// boundCounts is all as far as it is of words that a bridge may have.
func boundCounts(all map[string]uint64) map[string]uint64 {
	bounded := make(map[string]uint64)
	for _, reason := range slices.Sorted(maps.Keys(all)) {
		if isName(reason, 32) && len(bounded) < maxDropped {
			bounded[reason] = all[reason]
		}
	}
	return bounded
}

func (s *server) takeGap(about *news, msg *gapMsg) {
	gap := Gap{
		From: Time{about.shift(msg.From)}, To: Time{about.shift(msg.To)}, Reason: cleanTo(msg.Reason, 32), Lost: msg.Lost, Restarted: msg.Restarted,
	}
	if gap.From.IsZero() || gap.To.IsZero() {
		return
	}
	for _, g := range s.gaps {
		if g.From.Equal(gap.From.Time) && g.To.Equal(gap.To.Time) && g.Reason == gap.Reason {
			return // told again after NATS was lost
		}
	}
	i, _ := slices.BinarySearchFunc(s.gaps, gap, func(a, b Gap) int { return cmp.Compare(b.To.UnixNano(), a.To.UnixNano()) })
	s.gaps = slices.Insert(s.gaps, i, gap)
	s.gaps = s.gaps[:min(len(s.gaps), keptGaps)]
	switch {
	case gap.Lost == nil && gap.To.After(about.m.lost.unknown):
		about.m.lost.unknown = gap.To.Time
	case gap.Lost != nil && about.kept && s.buffers == nil: // else it was counted as it was lost
		about.m.lost.add(gap.To.Time, *gap.Lost)
	}
	if gap.Reason == s.drops.reason {
		s.drops.untold = false
	}
	about.m.changes.add(change(about.at, s.name, "", "", gap.news()))
}

// news is what "What changed" says of g.
func (g *Gap) news() string {
	text := "gap closed: " + g.Reason
	switch {
	case g.Lost != nil:
		return text + ", " + Count(*g.Lost) + " lost"
	case g.Restarted != nil && *g.Restarted:
		return text + ", Asterisk was restarted"
	}
	return text
}

// allGaps returns the gaps, the newest first; the first of all is one that is open.
func (s *server) allGaps(losing *Losing, reason string) []Gap {
	gaps := append(make([]Gap, 0, len(s.gaps)+1), s.gaps...)
	switch {
	case losing == nil:
	case losing.Events == nil:
		gaps = slices.Insert(gaps, 0, Gap{From: losing.Since, Reason: reason})
	case s.drops.untold:
		gaps = slices.Insert(gaps, 0, Gap{From: Time{s.drops.since}, Reason: s.drops.reason, Lost: losing.Events})
	}
	return gaps
}

// fills says how long the room for s lasts: in its own outbox or, if that is less and so
// is said, in all outboxes of its bridge together.
func (m *Model) fills(s *server, now time.Time) (d time.Duration, total, ok bool) {
	n := m.nodes[s.node]
	if s.buffers == nil || !(s.growth.average > 0) || s.isStoodBy() || m.isSilent(n, s.lastSeen, now) {
		return 0, false, false
	}
	d, ok = left(s.buffers.Outbox.Capacity-s.buffers.Outbox.Bytes, s.growth.average)
	if ok {
		d -= min(d, now.Sub(s.growth.at))
	}
	if limit := m.outboxTotal(n); limit > 0 && n != nil {
		if all, is := left(limit-n.held, n.growth); is && (!ok || all < d) {
			return all, true, true
		}
	}
	return d, false, ok
}

func (m *Model) outboxTotal(n *node) int64 {
	if n != nil && n.outboxTotal > 0 {
		return n.outboxTotal
	}
	return m.opts.OutboxTotal
}

// sumOutboxes sums, for each node, what its outboxes hold and how fast that grows.
func (m *Model) sumOutboxes(now time.Time) {
	for _, n := range m.nodes {
		n.held, n.growth = 0, 0
	}
	for _, s := range m.servers {
		if n := m.nodes[s.node]; n != nil && s.buffers != nil && !m.isSilent(n, s.lastSeen, now) {
			n.held += s.buffers.Outbox.Bytes
			n.growth += s.growth.average
		}
	}
}
