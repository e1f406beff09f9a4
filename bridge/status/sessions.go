package status

import (
	"sync"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn"
)

// states is what was published last of a server's sessions and of its breaker.
// Whoever tells holds mu meanwhile, so that the last message on a subject is
// the newest; handing one over never waits.
type states struct {
	mu       sync.Mutex // protects the following
	began    time.Time  // nothing has changed since, of what has not changed yet
	sessions []amiconn.Change
	breaker  amiconn.BreakerChange
}

// The triggers of a message about a state.
const (
	triggerChange   = "change"
	triggerInterval = "interval"
)

// follow keeps what is known of sessions, and of no others.
func (s *states) follow(sessions []amiconn.SessionStatus) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]amiconn.Change, len(sessions))
	for i, session := range sessions {
		all[i] = amiconn.Change{Name: session.Name, Role: session.Role}
		for _, c := range s.sessions {
			if c.Name == session.Name && c.Role == session.Role {
				all[i] = c
			}
		}
	}
	s.sessions = all
}

// OnSession publishes that a session has changed.
func (s *Server) OnSession(c amiconn.Change) {
	s.states.mu.Lock()
	for i := range s.states.sessions {
		if s.states.sessions[i].Name == c.Name {
			s.states.sessions[i] = c
		}
	}
	s.publish(s.subjects.Status("connection", c.Name), s.connectionStatus(c, c.At, triggerChange, 0), triggerChange)
	s.states.mu.Unlock()
}

// OnBreaker publishes that the breaker has changed.
func (s *Server) OnBreaker(c amiconn.BreakerChange) {
	s.states.mu.Lock()
	defer s.states.mu.Unlock()
	s.states.breaker = c
	s.publish(s.subjects.Status("breaker", ""), s.breakerStatus(c, c.At, triggerChange, c.RetryIn), triggerChange)
}

// publishStates publishes where the sessions and the breaker stand. It is for the
// status goroutine.
func (s *Server) publishStates(breaker amiconn.BreakerStatus) {
	if !s.speaks() {
		return // of a thousand servers it may be a few
	}
	s.states.mu.Lock()
	defer s.states.mu.Unlock()
	now := time.Now()
	if c, ok := s.states.worst(); ok {
		s.publish(s.subjects.Status("connection", triggerInterval), s.connectionStatus(c, now, triggerInterval, breaker.RetryIn), triggerInterval)
	}
	if c := s.states.breaker; c.To == breaker.State { // else it has changed just now, and said so
		c.Failures = breaker.Failures
		s.publish(s.subjects.Status("breaker", triggerInterval), s.breakerStatus(c, now, triggerInterval, breaker.RetryIn), triggerInterval)
	}
}

// Show has tell hear where each session, the breaker and the buffers stand, by the
// message that would be published. Nothing is. It may be called from any goroutine.
func (s *Server) Show(now time.Time, link *amiconn.Status, tell func(subject string, msg any)) {
	if m := s.standingStatus(now, triggerInterval); m != nil {
		tell(s.subjects.Status("ha", "").Subject, m)
	}
	for _, m := range s.showStates(now, link.Breaker) {
		tell(m.subject, m.body)
	}
	tell(s.subjects.Status("buffers", "").Subject, s.buffers(now, link))
}

// shown is a message that nobody publishes.
type shown struct {
	subject string
	body    any
}

func (s *Server) showStates(now time.Time, breaker amiconn.BreakerStatus) (all []shown) {
	s.states.mu.Lock()
	defer s.states.mu.Unlock()
	for _, c := range s.states.sessions {
		if c.At.IsZero() { // not tried yet
			c.At = s.states.began
		}
		all = append(all, shown{s.subjects.Status("connection", c.Name).Subject, s.connectionStatus(c, now, triggerInterval, breaker.RetryIn)})
	}
	if c := s.states.breaker; c.To == breaker.State {
		c.Failures = breaker.Failures
		all = append(all, shown{s.subjects.Status("breaker", "").Subject, s.breakerStatus(c, now, triggerInterval, breaker.RetryIn)})
	}
	return all
}

// worst returns the last change of the session that an operator wants to read
// of: one that is not up, and of several the one that changed last. There is
// none before the first change.
func (s *states) worst() (worst amiconn.Change, ok bool) {
	for _, c := range s.sessions {
		down, worstDown := c.To != amiconn.StateUp, worst.To != amiconn.StateUp
		if !c.At.IsZero() && (!ok || down && !worstDown || down == worstDown && c.At.After(worst.At)) {
			worst, ok = c, true
		}
	}
	return worst, ok
}
