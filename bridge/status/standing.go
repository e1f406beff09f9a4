package status

import (
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/clock"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/standby"
)

// Shared is what a Server asks of a server that several bridges share. Its functions may be
// called from any goroutine and do not wait.
type Shared struct {
	// Speaks reports whether it is this bridge that publishes the server's state, as far as
	// it knows, and Sure whether no other can have begun to without its knowing. What is
	// handed over while it speaks and is not sure waits until it is.
	Speaks, Sure func() bool
	// Standing returns who leads and who stands by; nil if that is not known yet.
	Standing func() *standby.Standing
}

// haMsg is who leads a server and who stands by.
type haMsg struct {
	Server   string       `json:"server"`
	Node     string       `json:"node"`
	At       string       `json:"at"`
	Trigger  string       `json:"trigger"` // change or interval
	Leader   string       `json:"leader"`  // empty: nobody leads
	Term     uint64       `json:"term"`
	Since    string       `json:"since"`
	Reason   string       `json:"reason"`
	Standbys []standbyMsg `json:"standbys"`
}

type standbyMsg struct {
	Node   string   `json:"node"`
	State  string   `json:"state"`
	Reason string   `json:"reason,omitempty"` // why it is apart, or joining for long
	Lag    *uint64  `json:"lag"`              // events; null: not known
	LagS   *float64 `json:"lag_s"`            // for how long there is a lag; null: not known
}

// Share has the state be published while this bridge is the one to do so, and who leads
// with it. It is called before anything changes.
func (s *Server) Share(shared Shared) { s.shared = &shared }

// OnStanding publishes that who leads or who stands by has changed, if it is this bridge
// that speaks. When it begins to, that is its first word, and all else that is known comes
// at the next Look; when it ends nothing is left of what was handed over.
func (s *Server) OnStanding(speaks bool) {
	if !speaks {
		if s.spoke.Swap(false) {
			s.publisher.withdraw(s.subjects.Status("", "").Subject)
		}
		return
	}
	s.publishStanding(triggerChange)
	if !s.spoke.Swap(true) {
		s.due.Store(true)
		s.Notify()
	}
}

// publishStanding publishes who leads the server, if others share it.
func (s *Server) publishStanding(trigger string) {
	s.states.mu.Lock()
	defer s.states.mu.Unlock()
	if m := s.standingStatus(time.Now(), trigger); m != nil && s.shared.Speaks() {
		s.publisher.publish(s.subjects.Status("ha", ""), m, s.shared, trigger)
	}
}

// standingStatus is who leads the server as this bridge knows it; nil if it does not, or no
// other shares the server.
func (s *Server) standingStatus(now time.Time, trigger string) *haMsg {
	if s.shared == nil {
		return nil
	}
	standing := s.shared.Standing()
	if standing == nil {
		return nil
	}
	m := &haMsg{
		Server: s.name, Node: s.node, At: clock.Stamp(now), Trigger: trigger, Leader: standing.Leader, Term: standing.Term,
		Since: clock.Stamp(standing.Since), Reason: standing.Reason, Standbys: []standbyMsg{},
	}
	for _, b := range standing.Standbys {
		m.Standbys = append(m.Standbys, standbyMsg{Node: b.Node, State: b.State.String(), Reason: string(b.Reason), Lag: LagOf(b), LagS: LagSecondsOf(b)})
	}
	return m
}

// LagOf is how many events b is behind; nil if nobody knows.
func LagOf(b standby.Standby) *uint64 {
	if !b.Knows() {
		return nil
	}
	return &b.Lag
}

// LagSecondsOf is for how many seconds b is behind; nil if nobody knows.
func LagSecondsOf(b standby.Standby) *float64 {
	if !b.KnowsFor() {
		return nil
	}
	seconds := float64(b.LagFor.Milliseconds()) / 1000
	return &seconds
}
