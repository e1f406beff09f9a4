package bridge

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn"
)

// status publishes the bridge's own state. Every change goes out while NATS
// takes them; of those that wait, once there are maxStatusQueue, only the
// newest of each kind is kept. So it is bounded by the number of kinds, and
// whoever publishes never waits.
type status struct {
	nc   *nats.Conn
	log  *zap.Logger
	wake chan struct{} // of capacity 1

	mu      sync.Mutex // protects the following
	waiting []statusMsg
	last    map[statusKey]statusMsg // what was published last
}

// statusKey is a kind of state: a subject and, where several states share it,
// which one.
type statusKey struct{ subject, part string }

type statusMsg struct {
	key  statusKey
	body []byte
}

const maxStatusQueue = 256

func newStatus(log *zap.Logger) *status {
	return &status{log: log, wake: make(chan struct{}, 1), last: make(map[statusKey]statusMsg)}
}

// publish hands over the newest state of key.
func (s *status) publish(key statusKey, state any) {
	body, err := json.Marshal(state)
	if err != nil {
		s.log.Error("status not encoded", zap.String("subject", key.subject), zap.Error(err))
		return
	}
	s.mu.Lock()
	s.add(statusMsg{key, body})
	s.mu.Unlock()
	s.signal()
}

func (s *status) add(m statusMsg) {
	if len(s.waiting) >= maxStatusQueue {
		s.waiting = slices.DeleteFunc(s.waiting, func(older statusMsg) bool { return older.key == m.key })
	}
	s.waiting = append(s.waiting, m)
}

func (s *status) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// again publishes the last state of everything once more: nobody knows what
// was lost with the connection that broke.
func (s *status) again() {
	s.mu.Lock()
	newer := make(map[statusKey]bool, len(s.waiting))
	for _, m := range s.waiting {
		newer[m.key] = true
	}
	for key, m := range s.last {
		if !newer[key] {
			s.add(m)
		}
	}
	s.mu.Unlock()
	s.signal()
}

// run publishes what is handed over, and what tick adds at each interval, until
// ctx ends; then the rest once more.
func (s *status) run(ctx context.Context, interval time.Duration, tick func()) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			s.flush()
			return
		case <-ticker.C:
			tick()
			s.flush()
		case <-s.wake:
			s.flush()
		}
	}
}

// flush publishes what waits, in order. What NATS does not take is kept for the
// next time.
func (s *status) flush() {
	for s.nc.IsConnected() {
		s.mu.Lock()
		if len(s.waiting) == 0 {
			s.mu.Unlock()
			return
		}
		m := s.waiting[0]
		s.waiting = slices.Delete(s.waiting, 0, 1)
		s.last[m.key] = m
		s.mu.Unlock()
		if err := s.nc.Publish(m.key.subject, m.body); err != nil {
			// The reconnect publishes the last of each again.
			s.log.Debug("status not published", zap.String("subject", m.key.subject), zap.Error(err))
			return
		}
	}
}

// connectionMsg is a change of one session's state.
type connectionMsg struct {
	Server    string `json:"server"`
	Node      string `json:"node"`
	At        string `json:"at"`
	Role      string `json:"role"`
	From      string `json:"from"`
	To        string `json:"to"`
	Session   string `json:"session,omitempty"`
	Version   string `json:"version,omitempty"`
	Reason    string `json:"reason,omitempty"`
	Error     string `json:"error,omitempty"`
	Failures  int    `json:"failures"`
	RetryInMS int64  `json:"retry_in_ms"`
}

func connectionStatus(s *server, c amiconn.Change) connectionMsg {
	m := connectionMsg{
		Server: s.cfg.Name, Node: s.node, At: c.At.UTC().Format(timeFormat),
		Role: c.Role.String(), From: c.From.String(), To: c.To.String(),
		Session: c.Session, Version: c.Version, Reason: string(c.Reason),
		Failures: c.Failures, RetryInMS: c.RetryIn.Milliseconds(),
	}
	if c.Err != nil {
		m.Error = c.Err.Error()
	}
	return m
}

// gapMsg is a hole in a server's events.
type gapMsg struct {
	Server string  `json:"server"`
	Node   string  `json:"node"`
	From   string  `json:"from"`
	To     string  `json:"to"`
	Reason string  `json:"reason"`
	Lost   *uint64 `json:"lost"` // null: nobody can know
}

func gapStatus(s *server, from, to time.Time, reason string, lost *uint64) gapMsg {
	return gapMsg{
		Server: s.cfg.Name, Node: s.node, Reason: reason, Lost: lost,
		From: from.UTC().Format(timeFormat), To: to.UTC().Format(timeFormat),
	}
}

// buffersMsg is what a server's buffers hold, and the law of conservation:
// received = published + dropped + filtered + queued + in_flight.
type buffersMsg struct {
	Server      string            `json:"server"`
	Node        string            `json:"node"`
	At          string            `json:"at"`
	Received    uint64            `json:"received"`
	Published   uint64            `json:"published"`
	Filtered    uint64            `json:"filtered"`
	Queued      uint64            `json:"queued"`
	InFlight    uint64            `json:"in_flight"`
	Dropped     map[string]uint64 `json:"dropped"`
	Outbox      bufferMsg         `json:"outbox"`
	WriteBuffer bufferMsg         `json:"write_buffer"`
	Pending     bufferMsg         `json:"pending_actions"`
}

// bufferMsg is one buffer: depth in bytes, or in Actions for the pending ones.
type bufferMsg struct {
	Depth     int64 `json:"depth"`
	Capacity  int64 `json:"capacity"`
	HighWater int64 `json:"high_water"`
}

// nodeMsg is this process.
type nodeMsg struct {
	Node         string   `json:"node"`
	Version      string   `json:"version"`
	At           string   `json:"at"`
	UptimeS      int64    `json:"uptime_s"`
	Servers      []string `json:"servers"`
	Ready        []string `json:"ready"`
	NATS         string   `json:"nats"`
	Delivery     string   `json:"delivery"`
	LogLinesLost uint64   `json:"log_lines_lost"`
}

// tick publishes the state of every buffer and of the node.
func (b *Bridge) tick() {
	now := time.Now().UTC().Format(timeFormat)
	node := nodeMsg{
		Node: b.cfg.Node, Version: b.deps.Version, At: now, UptimeS: int64(time.Since(b.started).Seconds()),
		Servers: []string{}, Ready: []string{}, NATS: b.status.nc.Status().String(), Delivery: b.cfg.Delivery.String(),
	}
	if b.deps.LogLost != nil {
		node.LogLinesLost = b.deps.LogLost()
	}
	for _, s := range b.servers {
		node.Servers = append(node.Servers, s.cfg.Name)
		if s.link.Ready() {
			node.Ready = append(node.Ready, s.cfg.Name)
		}
		b.status.publish(s.subjects.status("buffers", ""), s.buffers(now))
		s.tellDrops()
	}
	b.status.publish(statusKey{subject: b.cfg.SubjectPrefix + ".nodes." + b.cfg.Node}, node)
}

func (s *server) buffers(now string) buffersMsg {
	link, box := s.link.Status(), s.outbox.account()
	return buffersMsg{
		Server: s.cfg.Name, Node: s.node, At: now,
		Received: box.received, Published: box.published, Filtered: box.filtered,
		Queued: box.queued, InFlight: box.inFlight, Dropped: box.dropped,
		Outbox:      bufferMsg{box.bytes, int64(s.cfg.OutboxBytes), box.highWater},
		WriteBuffer: bufferMsg{int64(link.WriteBytes), int64(s.cfg.WriteBufferBytes), int64(link.WriteHighWater)},
		Pending:     bufferMsg{int64(link.Calls.Pending + link.Calls.Held), int64(s.cfg.MaxPending), 0},
	}
}
