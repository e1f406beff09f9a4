package bridge

import (
	"time"
)

// buffersMsg is what a server's buffers hold, and the law of conservation:
// received = published + dropped + filtered + queued + in_flight.
type buffersMsg struct {
	Server      string            `json:"server"`
	Node        string            `json:"node"`
	At          string            `json:"at"`
	Trigger     string            `json:"trigger"` // interval, high, full or drained
	Received    uint64            `json:"received"`
	Published   uint64            `json:"published"`
	Filtered    uint64            `json:"filtered"`
	Queued      uint64            `json:"queued"`
	InFlight    uint64            `json:"in_flight"`
	Dropped     map[string]uint64 `json:"dropped"`
	Outbox      outboxMsg         `json:"outbox"`
	WriteBuffer writeBufferMsg    `json:"write_buffer"`
	Pending     pendingMsg        `json:"pending_actions"`
}

// outboxMsg is an outbox: its depth in events, the rest in bytes.
type outboxMsg struct {
	Depth     uint64 `json:"depth"`
	Bytes     int64  `json:"bytes"`
	Capacity  int64  `json:"capacity"`
	HighWater int64  `json:"high_water"`
	Level     string `json:"level"`
	level     level
}

// writeBufferMsg is the write buffers of all action sessions together: their
// depth in Actions, the rest in bytes.
type writeBufferMsg struct {
	Depth     int    `json:"depth"`
	Bytes     int64  `json:"bytes"`
	Capacity  int64  `json:"capacity"`
	HighWater int64  `json:"high_water"`
	Refused   uint64 `json:"refused"`
	Level     string `json:"level"`
	level     level
}

// pendingMsg is the pending Actions, all in Actions.
type pendingMsg struct {
	Depth     int64  `json:"depth"`
	Capacity  int64  `json:"capacity"`
	HighWater int64  `json:"high_water"`
	Refused   uint64 `json:"refused"`
	Level     string `json:"level"`
	level     level
}

// levels are the levels of a server's buffers as they were told last, and how
// many Actions had been refused by then.
type levels struct {
	outbox, write, pending       level
	writeRefused, pendingRefused uint64
}

func (m *buffersMsg) levels() levels {
	return levels{m.Outbox.level, m.WriteBuffer.level, m.Pending.level, m.WriteBuffer.Refused, m.Pending.Refused}
}

// buffers returns the state of s's buffers. It is for the status goroutine.
func (s *server) buffers(now time.Time) buffersMsg {
	link, box, last := s.link.Status(), s.outbox.account(), s.levels
	held := int64(link.Calls.Pending + link.Calls.Held)
	m := buffersMsg{
		Server: s.cfg.Name, Node: s.node, At: stamp(now), Trigger: "interval",
		Received: box.received, Published: box.published, Filtered: box.filtered,
		Queued: box.queued, InFlight: box.inFlight, Dropped: box.dropped,
		Outbox: outboxMsg{
			Depth: box.queued + box.inFlight, Bytes: box.bytes, Capacity: int64(s.cfg.OutboxBytes),
			HighWater: box.highWater, level: box.level,
		},
		WriteBuffer: writeBufferMsg{
			Depth: link.WriteDepth, Bytes: int64(link.WriteBytes), Capacity: int64(s.cfg.WriteCapacity()),
			HighWater: int64(link.WriteHighWater), Refused: link.WriteRefused,
			level: last.write.next(int64(link.WriteBytes), int64(s.cfg.WriteCapacity()), link.WriteRefused > last.writeRefused),
		},
		Pending: pendingMsg{
			Depth: held, Capacity: int64(s.cfg.MaxPending), HighWater: int64(link.Calls.HighWater), Refused: link.CallsRefused,
			level: last.pending.next(held, int64(s.cfg.MaxPending), link.CallsRefused > last.pendingRefused),
		},
	}
	m.Outbox.Level, m.WriteBuffer.Level, m.Pending.Level =
		m.Outbox.level.String(), m.WriteBuffer.level.String(), m.Pending.level.String()
	return m
}

// look publishes the buffers whose level has changed.
func (b *Bridge) look() {
	if b.streams.changed.Load() {
		b.tellNode(time.Now())
	}
	now := time.Now()
	for _, s := range b.servers {
		m := s.buffers(now)
		before := s.levels
		s.levels = m.levels()
		if m.Trigger = trigger(before, s.levels); m.Trigger != "" {
			s.status.publish(s.subjects.status("buffers", ""), m)
			s.tellDrops(now)
			s.tellStrays(now)
		}
	}
}

// trigger says what is worst about a change of levels; it is empty without one.
func trigger(before, now levels) string {
	what := ""
	for _, c := range [][2]level{{before.outbox, now.outbox}, {before.write, now.write}, {before.pending, now.pending}} {
		switch {
		case c[0] == c[1]:
		case c[1] == levelFull:
			return "full"
		case c[1] == levelHigh:
			what = "high"
		case what == "":
			what = "drained"
		}
	}
	return what
}

// watchActions raises the alarm when an Action buffer has begun to fill, has
// refused, or is drained.
func (s *server) watchActions(refused bool) {
	write, pending := s.link.Pressure()
	level := levelNormal
	if s.busy.Load() {
		level = levelHigh
	}
	high := level.next(int64(write), int64(s.cfg.WriteCapacity()), refused) > levelNormal ||
		level.next(int64(pending), int64(s.cfg.MaxPending), refused) > levelNormal
	if s.busy.Swap(high) != high || refused {
		s.alarm()
	}
}
