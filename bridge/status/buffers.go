package status

import (
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/clock"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/outbox"
)

// buffersMsg is what a server's buffers hold, and the law of conservation:
// received = published + dropped + filtered + queued + in_flight + released.
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
	Released    uint64            `json:"released,omitempty"` // by a standby; only where bridges share the server
	StalledS    float64           `json:"stalled_s"`          // for how long nothing of what waits was stored; 0: it moves
	Dropped     map[string]uint64 `json:"dropped"`
	Outbox      outboxMsg         `json:"outbox"`
	WriteBuffer writeBufferMsg    `json:"write_buffer"`
	Pending     pendingMsg        `json:"pending_actions"`
	Actions     ActionsReport     `json:"actions"`
	Rates       *ratesMsg         `json:"rates,omitempty"` // nil: not known yet
}

// outboxMsg is an outbox: its depth in events, the rest in bytes.
type outboxMsg struct {
	Depth     uint64 `json:"depth"`
	Bytes     int64  `json:"bytes"`
	Capacity  int64  `json:"capacity"`
	HighWater int64  `json:"high_water"`
	Level     string `json:"level"`
	level     outbox.Level
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
	level     outbox.Level
}

// pendingMsg is the pending Actions, all in Actions.
type pendingMsg struct {
	Depth     int64  `json:"depth"`
	Capacity  int64  `json:"capacity"`
	HighWater int64  `json:"high_water"`
	Refused   uint64 `json:"refused"`
	Level     string `json:"level"`
	level     outbox.Level
}

// levels are the levels of a server's buffers as they were told last, and how
// many Actions had been refused by then.
type levels struct {
	outbox, write, pending       outbox.Level
	writeRefused, pendingRefused uint64
}

func (m *buffersMsg) levels() levels {
	return levels{m.Outbox.level, m.WriteBuffer.level, m.Pending.level, m.WriteBuffer.Refused, m.Pending.Refused}
}

// capacities are the bounds of a server's buffers: bytes, bytes and Actions.
type capacities struct{ outbox, write, pending int64 }

// buffers returns the state of s's buffers.
func (s *Server) buffers(now time.Time, link *amiconn.Status) buffersMsg {
	box, last := s.outbox.Account(), s.levels.Load()
	held, most := int64(link.Calls.Pending+link.Calls.Held), s.capacities.Load()
	m := buffersMsg{
		Server: s.name, Node: s.node, At: clock.Stamp(now), Trigger: triggerInterval,
		Received: box.Received, Published: box.Published, Filtered: box.Filtered,
		Queued: box.Queued, InFlight: box.InFlight, Released: box.Released, Dropped: box.Dropped,
		Outbox: outboxMsg{
			Depth: box.Queued + box.InFlight, Bytes: box.Bytes, Capacity: most.outbox,
			HighWater: box.HighWater, level: box.Level,
		},
		WriteBuffer: writeBufferMsg{
			Depth: link.WriteDepth, Bytes: int64(link.WriteBytes), Capacity: most.write,
			HighWater: int64(link.WriteHighWater), Refused: link.WriteRefused,
			level: last.write.Next(int64(link.WriteBytes), most.write, link.WriteRefused > last.writeRefused),
		},
		Pending: pendingMsg{
			Depth: held, Capacity: most.pending, HighWater: int64(link.Calls.HighWater), Refused: link.CallsRefused,
			level: last.pending.Next(held, most.pending, link.CallsRefused > last.pendingRefused),
		},
		Actions: s.actionsReport(now), Rates: s.rated.Load().rates, StalledS: s.stall.Load().seconds(now),
	}
	m.Outbox.Level, m.WriteBuffer.Level, m.Pending.Level =
		m.Outbox.level.String(), m.WriteBuffer.level.String(), m.Pending.level.String()
	return m
}

// Look publishes the buffers if the level of one has changed since it was published last,
// and all that is known if this bridge has begun to speak for the server. Without a Notify
// since the last Look it does nothing, and asks the link for nothing.
func (s *Server) Look(now time.Time, link func() amiconn.Status) {
	if !s.noted.Swap(false) {
		return
	}
	if s.due.Swap(false) {
		s.Tick(now, new(link()))
		return
	}
	s.begin()
	status := link()
	m := s.buffers(now, &status)
	before, after := s.levels.Load(), m.levels()
	s.levels.Store(&after)
	if m.Trigger = trigger(before, &after); m.Trigger != "" {
		s.publishBuffers(m, now, &status)
	}
}

// Tick publishes where all of the server's sessions, breaker and buffers stand, and who leads.
func (s *Server) Tick(now time.Time, link *amiconn.Status) {
	s.begin()
	s.publishStanding(triggerInterval)
	s.publishStates(link.Breaker)
	m := s.buffers(now, link)
	s.rate(&m, now)
	s.stands(&m, now)
	after := m.levels()
	if changed := trigger(s.levels.Load(), &after); changed != "" {
		m.Trigger = changed // the alarm comes too late to tell
	}
	s.levels.Store(&after)
	s.publishBuffers(m, now, link)
}

func (s *Server) publishBuffers(m buffersMsg, now time.Time, link *amiconn.Status) {
	s.publish(s.subjects.Status("buffers", ""), m, m.Trigger)
	s.logDrops(m.Dropped, now)
	s.logStrays(now, link.Calls)
}

// trigger says what is worst about a change of levels; it is empty without one.
func trigger(before, now *levels) string {
	what := ""
	for _, c := range [][2]outbox.Level{{before.outbox, now.outbox}, {before.write, now.write}, {before.pending, now.pending}} {
		switch {
		case c[0] == c[1]:
		case c[1] == outbox.LevelFull:
			return "full"
		case c[1] == outbox.LevelHigh:
			what = "high"
		case what == "":
			what = "drained"
		}
	}
	return what
}

// Pressure has the buffers looked at when an Action buffer, of so many bytes or
// Actions, has begun to fill, has refused, or is drained. It may be called from any
// goroutine and does not wait.
func (s *Server) Pressure(write, pending int, refused bool) {
	level := outbox.LevelNormal
	if s.busy.Load() {
		level = outbox.LevelHigh
	}
	most := s.capacities.Load()
	high := level.Next(int64(write), most.write, refused) > outbox.LevelNormal ||
		level.Next(int64(pending), most.pending, refused) > outbox.LevelNormal
	if s.busy.Swap(high) != high || refused {
		s.Notify()
	}
}
