package status

import (
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/clock"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/outbox"
)

// The messages on the status subjects. docs/schemas describes them.

// connectionMsg is the last change of one session's state, and where all of
// the server's sessions stand.
type connectionMsg struct {
	Server    string `json:"server"`
	Node      string `json:"node"`
	At        string `json:"at"`
	Trigger   string `json:"trigger"` // change or interval
	Since     string `json:"since"`   // when it changed
	Role      string `json:"role"`
	From      string `json:"from"`
	To        string `json:"to"`
	Session   string `json:"session,omitempty"`
	Version   string `json:"version,omitempty"`
	Reason    string `json:"reason,omitempty"`
	Error     string `json:"error,omitempty"`
	Failures  int    `json:"failures"`
	RetryInMS int64  `json:"retry_in_ms"`
	// Sessions are the states of all of the server's sessions, by name.
	Sessions map[string]string `json:"sessions"`
	// What the server is configured to be, for those who put it in words.
	Addr           string `json:"addr"`
	LoginTimeoutMS int64  `json:"login_timeout_ms"`
	ReadTimeoutMS  int64  `json:"read_timeout_ms"`
}

// connectionStatus is what is to be told at now of the session that changed by
// c, while the breaker is open for that long. It needs s.states.mu.
func (s *Server) connectionStatus(c amiconn.Change, now time.Time, trigger string, open time.Duration) connectionMsg {
	m := connectionMsg{
		Server: s.name, Node: s.node, At: clock.Stamp(now), Trigger: trigger, Since: clock.Stamp(time.Unix(0, clock.Wall(c.At, now))),
		Role: c.Name, From: c.From.String(), To: c.To.String(),
		Session: c.Session, Version: c.Version, Reason: string(c.Reason), Error: clock.Text(c.Err),
		Failures: c.Failures, Sessions: make(map[string]string),
	}
	about := s.words.Load()
	m.Addr, m.LoginTimeoutMS, m.ReadTimeoutMS = about.addr, about.loginTimeoutMS, about.readTimeoutMS
	if c.To == amiconn.StateWaiting {
		m.RetryInMS = max(clock.Left(c.RetryIn, c.At, now), open).Milliseconds()
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
func (s *Server) breakerStatus(c amiconn.BreakerChange, now time.Time, trigger string, retryIn time.Duration) breakerMsg {
	m := breakerMsg{
		Server: s.name, Node: s.node, At: clock.Stamp(now), Trigger: trigger, Since: clock.Stamp(time.Unix(0, clock.Wall(c.At, now))),
		From: string(c.From), To: string(c.To), Reason: string(c.Reason), Error: clock.Text(c.Err),
		Failures: c.Failures, RetryInMS: retryIn.Milliseconds(),
	}
	if c.To == amiconn.BreakerOpen {
		m.RetryAt = clock.Stamp(now.Add(retryIn))
	}
	return m
}

// gapMsg is a gap in a server's events.
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

func (s *Server) gapStatus(g outbox.Gap) gapMsg {
	m := gapMsg{
		Server: s.name, Node: s.node, At: clock.Stamp(time.Now()), Reason: g.Reason,
		From: clock.Stamp(time.Unix(0, g.From)), To: clock.Stamp(time.Unix(0, g.To)),
	}
	if !g.Unknown {
		m.Lost = &g.Lost
	}
	if g.Restarted == "yes" || g.Restarted == "no" {
		m.Restarted = new(g.Restarted == "yes")
	}
	return m
}
