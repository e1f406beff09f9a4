package view

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// server is what is known of one.
type server struct {
	name     string
	node     string    // who speaks for it
	lastSeen time.Time // the newest word of it, by the caller's clock

	settings settings
	sessions []Session // in the order event or both, action, action2 and so on
	downAt   time.Time // since when its event session is not up; zero if it is, or not known
	wasUp    bool      // it has been up since the Model was made
	breaker  Breaker
	known    bool // any word of a session has come

	buffers   *buffersMsg // the newest
	buffersAt time.Time
	levelAt   time.Time // since when a buffer is not normal
	nearAt    time.Time // since when the outbox is forecast to be full soon
	in, out   counter
	inPast    ring
	outPast   ring
	growth    growth
	drops     drops
	gaps      []Gap // the newest first

	ha       *HA
	haFrom   string // who said it
	actions  counter
	p95Past  ring      // of microseconds: the most of each step
	refusals *Refusals // nil: it does not say

	objects map[string]*object
	calls   map[string]int // channels by Linkedid
	present present
	queues  map[string]*ring // waiting callers of each minute
	floor   *floor           // nil: to be made anew
}

// settings are what a bridge may say of a server's configuration.
type settings struct {
	addr                      string
	loginTimeout, readTimeout time.Duration
}

// readsEvents says whether the loss of the session in that role is the loss of events.
func readsEvents(role string) bool { return role == "event" || role == "both" }

// up is the state of a session that is logged in.
const up = "up"

func newServer(name string) *server {
	return &server{name: name, objects: make(map[string]*object), calls: make(map[string]int), queues: make(map[string]*ring)}
}

// speaksFor says whether the message of about is to be taken: of two bridges that speak
// for a server one is heard, until it is silent, or stops, or the other leads; ha is that
// message if it says who leads. Whoever says that nobody does speaks for it meanwhile.
func (s *server) speaksFor(about *news, ha *haMsg) bool {
	if s.node == about.node.name {
		return true
	}
	stopped := slices.ContainsFunc(s.sessions, func(c Session) bool { return c.State == "stopped" })
	leads := s.ha != nil && s.ha.Leader == about.node.name
	if ha != nil { // of an older term it is from one that slept
		leads = (ha.Leader == about.node.name || ha.Leader == "") && (s.ha == nil || ha.Term >= s.ha.Term)
	}
	if s.node != "" && !stopped && !leads && !about.m.isSilent(about.m.nodes[s.node], s.lastSeen, about.at) {
		return false
	}
	s.node = about.node.name
	s.in, s.out, s.actions, s.growth = counter{}, counter{}, counter{}, growth{} // those of another process
	s.drops.counted, s.buffers, s.buffersAt, s.refusals = counter{}, nil, time.Time{}, nil
	return true
}

// session returns the one of that role, a new one if need be; nil if it is none or there
// are too many.
func (s *server) session(role string) *Session {
	if !isName(role, 16) {
		return nil
	}
	i, ok := slices.BinarySearchFunc(s.sessions, role, func(a Session, role string) int { return compareRoles(a.Role, role) })
	if !ok {
		if len(s.sessions) == maxSessions {
			return nil
		}
		s.sessions = slices.Insert(s.sessions, i, Session{Role: strings.Clone(role)})
	}
	return &s.sessions[i]
}

// compareRoles sorts who reads events first, then the shorter: action2 before action10.
func compareRoles(a, b string) int {
	first := func(role string) int {
		if readsEvents(role) {
			return 0
		}
		return 1
	}
	return cmp.Or(cmp.Compare(first(a), first(b)), cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
}

// events returns the session that reads events; nil if none is known.
func (s *server) events() *Session {
	if len(s.sessions) > 0 && readsEvents(s.sessions[0].Role) {
		return &s.sessions[0]
	}
	return nil
}

func (s *server) connection(about *news, msg *connectionMsg) {
	s.known = true
	if msg.Addr != "" {
		s.settings.addr = cleanTo(msg.Addr, 128)
	}
	s.settings.loginTimeout = cmp.Or(millis(msg.LoginTimeoutMS), s.settings.loginTimeout)
	s.settings.readTimeout = cmp.Or(millis(msg.ReadTimeoutMS), s.settings.readTimeout)
	since := about.since(msg.Since)
	if c := s.session(msg.Role); c != nil && msg.To != "" {
		s.changed(about, c, msg, since)
	}
	for role, state := range msg.Sessions {
		if c := s.session(role); c != nil && role != msg.Role && c.State != cleanTo(state, 16) {
			// Its own message has been missed, or replaced by this one.
			s.changed(about, c, &connectionMsg{To: state}, since)
		}
	}
}

// changed takes what msg says of the session c, which is in that state since then.
func (s *server) changed(about *news, c *Session, msg *connectionMsg, since time.Time) {
	before := *c
	*c = Session{Role: c.Role, State: cleanTo(msg.To, 16), Since: Time{since}, Failures: max(msg.Failures, 0), Version: cmp.Or(cleanTo(msg.Version, 64), c.Version)}
	if c.State != up {
		// A session that tries again has no reason of its own: the one before stands.
		c.Reason, c.Error = cleanTo(msg.Reason, 32), clean(msg.Error)
		if c.Reason == "" && before.State != up {
			c.Reason, c.Error = before.Reason, before.Error
		}
		if msg.RetryInMS > 0 {
			c.RetryAt = Time{about.at.Add(millis(msg.RetryInMS))}
		}
	}
	if readsEvents(c.Role) {
		switch {
		case c.State == up:
			// Before it is up for the first time nobody knows whether there was
			// anything to lose: a Gap tells if there was.
			if !s.downAt.IsZero() && s.wasUp && since.After(about.m.lost.unknown) {
				about.m.lost.unknown = since // its Gap comes later
			}
			s.downAt, s.wasUp = time.Time{}, true
		case before.State == up || before.State == "" || s.downAt.IsZero():
			s.downAt = since
		}
	}
	if what := c.news(before.State); what != "" {
		about.m.changes.add(change(since, s.name, "", c.Role, what))
	}
}

// news is what "What changed" says of c, which was in the state before: nothing of a
// try, and of what goes on.
func (c *Session) news(before string) string {
	name := c.Role + " "
	if readsEvents(c.Role) {
		name = ""
	}
	switch {
	case c.State == before && c.State == up, c.State == "connecting", c.State == "down", c.State == "":
		return ""
	case c.State == up:
		return name + "up"
	case c.Reason == "":
		return name + "down"
	case name == "":
		return "down: " + c.Reason
	}
	return name + c.Reason
}

func (s *server) breakerChanged(about *news, msg *breakerMsg) {
	s.known = true
	before := s.breaker.State
	since := about.since(msg.Since)
	s.breaker = Breaker{
		State: cleanTo(msg.To, 16), Since: Time{since}, Reason: cleanTo(msg.Reason, 32), Error: clean(msg.Error),
		Failures: max(msg.Failures, 0), RetryAt: Time{about.shift(msg.RetryAt)},
	}
	switch {
	case s.breaker.State == open && before != open && before != halfOpenState:
		about.m.changes.add(change(since, s.name, "", "breaker", "breaker open, "+Count(uint64(s.breaker.Failures))+" "+
			plural(s.breaker.Failures, "failure", "failures")))
	case s.breaker.State == closed && (before == open || before == halfOpenState):
		about.m.changes.add(change(since, s.name, "", "breaker", "breaker closed"))
	}
}

// The states of a breaker.
const (
	open          = "open"
	closed        = "closed"
	halfOpenState = "half-open"
)
