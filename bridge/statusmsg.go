package bridge

import (
	"slices"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn"
)

// The messages on the status subjects. docs/schemas describes them.

// connectionMsg is the last change of one session's state, and where all of
// the server's sessions stand.
type connectionMsg struct {
	Server    string    `json:"server"`
	Node      string    `json:"node"`
	At        string    `json:"at"`
	Trigger   string    `json:"trigger"` // change or interval
	Since     string    `json:"since"`   // when it changed
	Role      string    `json:"role"`
	From      string    `json:"from"`
	To        string    `json:"to"`
	Session   string    `json:"session,omitempty"`
	Version   string    `json:"version,omitempty"`
	Reason    string    `json:"reason,omitempty"`
	Error     string    `json:"error,omitempty"`
	Failures  int       `json:"failures"`
	RetryInMS int64     `json:"retry_in_ms"`
	Sessions  sessionUp `json:"sessions"`
}

// connectionStatus is what is to be told at now of the session that changed by
// c, while the breaker is open for that long. It needs s.states.mu.
func (s *server) connectionStatus(c amiconn.Change, now time.Time, trigger string, open time.Duration) connectionMsg {
	m := connectionMsg{
		Server: s.cfg.Name, Node: s.node, At: stamp(now), Trigger: trigger, Since: stamp(time.Unix(0, wallTime(c.At, now))),
		Role: c.Name, From: c.From.String(), To: c.To.String(),
		Session: c.Session, Version: c.Version, Reason: string(c.Reason), Error: text(c.Err),
		Failures: c.Failures, Sessions: make(sessionUp),
	}
	if c.To == amiconn.StateWaiting {
		m.RetryInMS = max(left(c.RetryIn, c.At, now), open).Milliseconds()
	}
	for _, session := range s.states.sessions {
		m.Sessions[session.Name] = session.To.String()
	}
	return m
}

// breakerMsg is the last change of a server's breaker.
type breakerMsg struct {
	Server    string `json:"server"`
	Node      string `json:"node"`
	At        string `json:"at"`
	Trigger   string `json:"trigger"` // change or interval
	Since     string `json:"since"`   // when it changed
	From      string `json:"from"`
	To        string `json:"to"`
	Reason    string `json:"reason"`
	Error     string `json:"error,omitempty"`
	Failures  int    `json:"failures"`
	RetryInMS int64  `json:"retry_in_ms"`
	RetryAt   string `json:"retry_at"` // empty unless open
}

// breakerStatus is what is to be told at now of the breaker that changed by c
// and lets somebody try again after retryIn.
func (s *server) breakerStatus(c amiconn.BreakerChange, now time.Time, trigger string, retryIn time.Duration) breakerMsg {
	m := breakerMsg{
		Server: s.cfg.Name, Node: s.node, At: stamp(now), Trigger: trigger, Since: stamp(time.Unix(0, wallTime(c.At, now))),
		From: string(c.From), To: string(c.To), Reason: string(c.Reason), Error: text(c.Err),
		Failures: c.Failures, RetryInMS: retryIn.Milliseconds(),
	}
	if c.To == amiconn.BreakerOpen {
		m.RetryAt = stamp(now.Add(retryIn))
	}
	return m
}

// gapMsg is a hole in a server's events.
type gapMsg struct {
	Server    string  `json:"server"`
	Node      string  `json:"node"`
	At        string  `json:"at"`
	From      string  `json:"from"`
	To        string  `json:"to"`
	Reason    string  `json:"reason"`
	Lost      *uint64 `json:"lost"`      // null: nobody can know
	Restarted *bool   `json:"restarted"` // null: unknown, or no session was lost
}

func (s *server) gapStatus(g gap) gapMsg {
	m := gapMsg{
		Server: s.cfg.Name, Node: s.node, At: stamp(time.Now()), Reason: g.reason,
		From: stamp(time.Unix(0, g.from)), To: stamp(time.Unix(0, g.to)),
	}
	if !g.unknown {
		m.Lost = &g.lost
	}
	if g.restarted == "yes" || g.restarted == "no" {
		m.Restarted = new(g.restarted == "yes")
	}
	return m
}

// nodeMsg is this process.
type nodeMsg struct {
	Node    string   `json:"node"`
	Version string   `json:"version"`
	At      string   `json:"at"`
	UptimeS int64    `json:"uptime_s"`
	Servers []string `json:"servers"`
	Ready   []string `json:"ready"`
	NATS    string   `json:"nats"`
	// Connections are the states of events and control, Unanswered the endpoints
	// whose requests do not arrive.
	Connections  map[string]string `json:"connections"`
	Unanswered   []string          `json:"unanswered"`
	Delivery     string            `json:"delivery"`
	Way          string            `json:"way"`
	LogLinesLost uint64            `json:"log_lines_lost"`
	AuditQueued  int               `json:"audit_queued"`
	AuditLost    uint64            `json:"audit_lost"`
	// RequestsDropped were never read: too many waited.
	RequestsDropped uint64 `json:"requests_dropped"`

	Streams []StreamReport `json:"streams"`
	Leaf    *leafMsg       `json:"leaf,omitempty"`
}

// tellNode publishes the state of this process. It is for the status goroutine.
func (b *Bridge) tellNode(now time.Time) {
	b.streams.changed.Store(false)
	node := nodeMsg{
		Node: b.cfg.Node, Version: b.deps.Version, At: stamp(now), UptimeS: int64(now.Sub(b.started).Seconds()),
		Servers: []string{}, Ready: []string{}, NATS: b.nats(), Connections: b.connections(), Unanswered: []string{}, Delivery: b.cfg.Delivery.String(),
	}
	for name, state := range b.answerable() {
		if state != answered {
			node.Unanswered = append(node.Unanswered, name)
		}
	}
	slices.Sort(node.Unanswered)
	node.Way, _ = b.way.Load().(string)
	node.AuditQueued, _ = b.audit.journal.left()
	node.AuditLost = b.audit.lost.Load()
	node.Streams = b.streams.states()
	node.Leaf = b.leaf.look(now)
	for _, e := range b.endpoints {
		node.RequestsDropped += e.dropped.total()
	}
	if b.deps.LogLost != nil {
		node.LogLinesLost = b.deps.LogLost()
	}
	for _, s := range b.servers {
		node.Servers = append(node.Servers, s.cfg.Name)
		if s.link.Ready() {
			node.Ready = append(node.Ready, s.cfg.Name)
		}
	}
	b.status.publish(statusKey{subject: b.cfg.SubjectPrefix + ".nodes." + b.cfg.Node}, node)
}

// tick publishes the state of every session, breaker and buffer and of the
// node, and closes the holes whose session has brought no event for long.
func (b *Bridge) tick() {
	now := time.Now()
	b.audit.tellLost()
	for _, e := range b.endpoints {
		e.tellDropped(now)
	}
	for _, s := range b.servers {
		s.tellStates()
		m := s.buffers(now)
		if changed := trigger(s.levels, m.levels()); changed != "" {
			m.Trigger = changed // the alarm comes too late to tell
		}
		s.levels = m.levels()
		s.status.publish(s.subjects.status("buffers", ""), m)
		s.tellDrops(now)
		s.tellStrays(now)
		s.closeOldHole(now.Add(-holeIntervals * b.cfg.StatusInterval))
	}
	b.tellNode(now)
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
