package bridge

import (
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn"
)

// The messages on the status subjects. docs/schemas describes them.

// connectionMsg is a change of one session's state, and where all of the
// server's sessions stand.
type connectionMsg struct {
	Server    string    `json:"server"`
	Node      string    `json:"node"`
	At        string    `json:"at"`
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

func (s *server) connectionStatus(c amiconn.Change) connectionMsg {
	m := connectionMsg{
		Server: s.cfg.Name, Node: s.node, At: stamp(c.At),
		Role: c.Name, From: c.From.String(), To: c.To.String(),
		Session: c.Session, Version: c.Version, Reason: string(c.Reason), Error: text(c.Err),
		Failures: c.Failures, RetryInMS: c.RetryIn.Milliseconds(), Sessions: make(sessionUp),
	}
	for _, session := range s.link.Status().Sessions {
		m.Sessions[session.Name] = session.State.String()
	}
	return m
}

// breakerMsg is a change of a server's breaker.
type breakerMsg struct {
	Server    string `json:"server"`
	Node      string `json:"node"`
	At        string `json:"at"`
	From      string `json:"from"`
	To        string `json:"to"`
	Reason    string `json:"reason"`
	Error     string `json:"error,omitempty"`
	Failures  int    `json:"failures"`
	RetryInMS int64  `json:"retry_in_ms"`
	RetryAt   string `json:"retry_at"` // empty unless open
}

func (s *server) breakerStatus(c amiconn.BreakerChange) breakerMsg {
	m := breakerMsg{
		Server: s.cfg.Name, Node: s.node, At: stamp(c.At), From: string(c.From), To: string(c.To),
		Reason: string(c.Reason), Error: text(c.Err), Failures: c.Failures, RetryInMS: c.RetryIn.Milliseconds(),
	}
	if c.RetryIn > 0 {
		m.RetryAt = stamp(c.At.Add(c.RetryIn))
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

// tick publishes the state of every buffer and of the node, and closes the
// holes whose session has brought no event since the last one.
func (b *Bridge) tick() {
	now := time.Now()
	node := nodeMsg{
		Node: b.cfg.Node, Version: b.deps.Version, At: stamp(now), UptimeS: int64(now.Sub(b.started).Seconds()),
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
		m := s.buffers(now)
		if changed := trigger(s.levels, m.levels()); changed != "" {
			m.Trigger = changed // the alarm comes too late to tell
		}
		s.levels = m.levels()
		s.status.publish(s.subjects.status("buffers", ""), m)
		s.tellDrops()
		s.closeHole(now.Add(-holeIntervals*b.cfg.StatusInterval), "")
	}
	b.status.publish(statusKey{subject: b.cfg.SubjectPrefix + ".nodes." + b.cfg.Node}, node)
}

func stamp(t time.Time) string { return t.UTC().Format(timeFormat) }

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
