package view

import (
	"cmp"
	"fmt"
	"math"
	"strings"
	"time"
)

// Verdict is how a server is.
type Verdict struct {
	State State  `json:"state"`
	Word  string `json:"word"`
	Why   string `json:"why"`
	Do    string `json:"do"`
	// Reason is the word of the lost session or of the drops; empty if there is none.
	Reason string `json:"reason"`
	Since  Time   `json:"since"`
	// Until is when it will be other: UntilTry, UntilFull.
	Until     Time    `json:"until"`
	UntilKind string  `json:"until_kind"`
	Losing    *Losing `json:"losing"`
}

// The kinds of Verdict.Until.
const (
	UntilTry  = "try"  // the next try to connect
	UntilFull = "full" // the outbox is forecast to be full
)

// Losing is what a server loses now.
type Losing struct {
	// Events is how many since then; nil if nobody can know, for AMI has no replay.
	Events *uint64 `json:"events"`
	Since  Time    `json:"since"`
	Rate   float64 `json:"rate"` // events a second now; 0 if it is not known
}

// Text says it in words, with times as somebody at now reads them: "18 204 events", or
// "all since 02:47:13, number unknown".
func (l *Losing) Text(now time.Time) string {
	switch {
	case l == nil:
		return ""
	case l.Events != nil:
		return Count(*l.Events) + plural(int(min(*l.Events, 2)), " event", " events")
	case l.Since.IsZero():
		return "all, number unknown"
	}
	return "all since " + Moment(l.Since, now) + ", number unknown"
}

// verdictOf says how s is at the time now. The first that holds is the verdict. That nothing
// is heard of s comes before all: what was wrong with it may be over.
func (m *Model) verdictOf(s *server, now time.Time) Verdict {
	n := m.nodes[s.node]
	var v Verdict
	switch {
	case s.lastSeen.IsZero():
		v = verdict(StateUnknown, neverSeen, nil)
	case m.isSilent(n, s.lastSeen, now):
		v = verdict(StateUnknown, silentWords, nil)
		v.Since = Time{s.lastSeen}
	default:
		v = m.verdictOfReported(s, n, now)
	}
	if v.Word == "" {
		v.Word = v.text(now)
	}
	return v
}

func (m *Model) verdictOfReported(s *server, n *node, now time.Time) Verdict {
	if v, ok := s.standsBy(); ok {
		return v
	}
	lost := s.isDown()
	v, found := s.losing(now, m.interval(n))
	if !found {
		v, found = s.notConnected()
	}
	if !found {
		v, found = m.trouble(s, n, now)
	}
	if !found {
		v = s.quiet()
	}
	if left, _, ok := m.fills(s, now); ok && (v.State == StateLosing || v.State == StateTrouble) && v.Until.IsZero() {
		v.Until, v.UntilKind = Time{now.Add(left)}, UntilFull
	}
	if lost {
		v.Losing = &Losing{Since: Time{s.downSince()}}
	}
	return v
}

// verdict is state with its sentence; facts are name and value in turn.
func verdict(state State, words sentence, facts []string) Verdict {
	r := strings.NewReplacer(facts...)
	return Verdict{State: state, Why: r.Replace(words.why), Do: r.Replace(words.do)}
}

// text is the word of v, with the time that belongs to it.
func (v *Verdict) text(now time.Time) string {
	switch word := v.State.Word(); {
	case v.State == StateWell && v.Since.IsZero():
		return "up"
	case v.State == StateWell:
		return word + " " + Age(now.Sub(v.Since.Time))
	case v.State == StateUnknown && v.Since.IsZero():
		return "not known"
	case v.State == StateUnknown:
		return word + " " + Moment(v.Since, now)
	default:
		return word
	}
}

// isDown says whether the session that reads events is not up: all is lost then.
func (s *server) isDown() bool {
	c := s.events()
	return c != nil && c.State != up
}

// losing: drops go on, or the outbox is full.
func (s *server) losing(now time.Time, interval time.Duration) (Verdict, bool) {
	going := s.drops.going(now, interval)
	if s.buffers == nil || !going && s.buffers.Outbox.Level != "full" {
		return Verdict{}, false
	}
	reason := s.drops.reason
	if reason == "" {
		reason = "overflow"
	}
	words, ok := sentences[reason]
	if !ok {
		words = full
	}
	v := verdict(StateLosing, words, s.facts("", ""))
	v.Reason, v.Since = reason, Time{s.drops.since}
	if !s.levelAt.IsZero() && (v.Since.IsZero() || s.levelAt.Before(v.Since.Time)) {
		v.Since = Time{s.levelAt} // it began when the outbox began to fill
	}
	v.Losing = &Losing{Events: new(s.drops.count), Since: Time{s.drops.since}}
	if v.Losing.Since.IsZero() {
		v.Losing.Since = v.Since
	}
	if going {
		v.Losing.Rate = tenths(s.drops.counted.rate)
	}
	return v, true
}

// notConnected: the session that reads events is not up, the breaker is open, or the
// login of any was refused.
func (s *server) notConnected() (Verdict, bool) {
	c := s.events()
	if c == nil || c.State == up {
		c = s.refused()
	}
	if c == nil && s.breaker.State != open {
		return Verdict{}, false
	}
	reason, err := "", ""
	if c != nil {
		reason, err = c.Reason, c.Error
	}
	if (c == nil || reason == "") && s.breaker.State != closed && sentences[s.breaker.Reason] != (sentence{}) {
		reason, err = s.breaker.Reason, s.breaker.Error
	}
	state := StateDown
	if reason == "auth" {
		state = StateRefused
	}
	words, ok := sentences[reason]
	if !ok {
		words = noReason
	}
	v := verdict(state, words, append(s.facts(reason, err), "{session}", sessionState(c)))
	v.Reason = reason
	if c != nil && readsEvents(c.Role) {
		v.Since = Time{s.downSince()}
	} else if c != nil {
		v.Since = c.Since
	} else {
		v.Since = s.breaker.Since
	}
	if s.breaker.State == open && s.breaker.Failures > 0 {
		v.Do = strings.TrimSpace(v.Do + " Breaker open after " + Count(uint64(s.breaker.Failures)) + plural(s.breaker.Failures, " failure.", " failures."))
	}
	if at := s.nextTry(c); !at.IsZero() {
		v.Until, v.UntilKind = Time{at}, UntilTry
	}
	return v, true
}

func sessionState(c *Session) string {
	if c == nil {
		return "breaker open"
	}
	return c.State
}

// refused returns the session whose login was refused; nil if none is.
func (s *server) refused() *Session {
	for i := range s.sessions {
		if c := &s.sessions[i]; c.State != up && c.Reason == "auth" {
			return c
		}
	}
	return nil
}

// downSince is since when the session that reads events is not up. A reader that came
// late has seen only the last try of it: then the breaker, or what AMI_STATE says, knows
// of an earlier time.
func (s *server) downSince() time.Time {
	since := s.downAt
	earlier := func(at time.Time) {
		if !at.IsZero() && at.Before(since) {
			since = at
		}
	}
	if s.breaker.State == open || s.breaker.State == halfOpenState {
		earlier(s.breaker.Since.Time)
	}
	if s.present.state == stale {
		earlier(s.present.since)
	}
	return since
}

// nextTry is when the session c, or any, is tried again.
func (s *server) nextTry(c *Session) (at time.Time) {
	if c != nil && c.State == "waiting" {
		at = c.RetryAt.Time
	}
	if s.breaker.State == open && s.breaker.RetryAt.After(at) {
		at = s.breaker.RetryAt.Time
	}
	return at
}

// trouble: nothing is lost yet, but something is not as it should be.
func (m *Model) trouble(s *server, n *node, now time.Time) (Verdict, bool) {
	if n != nil {
		if isUp, since := n.events(); !isUp {
			v := verdict(StateTrouble, natsDown, nil)
			v.Since = Time{since}
			return v, true
		}
	}
	if v, ok := s.ledByNobody(now); ok {
		return v, true
	}
	if v, ok := s.stalled(n); ok {
		return v, true
	}
	for i := range s.sessions {
		if c := &s.sessions[i]; c.State != up && c.State != "" {
			return s.sessionTrouble(c), true
		}
	}
	if s.breaker.State == halfOpenState {
		v := verdict(StateTrouble, halfOpen, nil)
		v.Since = s.breaker.Since
		return v, true
	}
	if s.buffers == nil {
		return Verdict{}, false
	}
	left, _, ok := m.fills(s, now)
	near := ok && left < forecastNear
	b := s.buffers
	var v Verdict
	switch {
	case !b.Outbox.isNormal() || near:
		v = verdict(StateTrouble, full, s.facts("", ""))
	case !b.Write.isNormal():
		v = verdict(StateTrouble, writeHigh, []string{"{percent}", b.Write.percent()})
	case !b.Pending.isNormal():
		v = verdict(StateTrouble, pendingHigh, []string{"{depth}", Count(uint64(b.Pending.Depth)), "{capacity}", Count(uint64(b.Pending.Capacity))})
	default:
		return Verdict{}, false
	}
	v.Since = Time{s.levelAt}
	if v.Since.IsZero() {
		v.Since = Time{s.nearAt}
	}
	return v, true
}

// sessionTrouble is of a session that carries Actions only.
func (s *server) sessionTrouble(c *Session) Verdict {
	words, ok := sentences[c.Reason]
	if !ok {
		words = noReason
	}
	v := verdict(StateTrouble, words, append(s.facts(c.Reason, c.Error), "{session}", c.State))
	v.Why = "Session " + c.Role + ": " + v.Why
	v.Reason, v.Since = c.Reason, c.Since
	if at := s.nextTry(c); !at.IsZero() {
		v.Until, v.UntilKind = Time{at}, UntilTry
	}
	return v
}

// quiet is of a server that has nothing against it.
func (s *server) quiet() Verdict {
	switch {
	case !s.known:
		return verdict(StateUnknown, neverSeen, nil)
	case s.present.state == stale:
		v := verdict(StateUnknown, presentStale, nil)
		v.Since = Time{s.present.since}
		return v
	case s.present.state == syncing:
		v := verdict(StateSyncing, syncingNow, nil)
		v.Since = Time{s.present.since}
		return v
	}
	v := Verdict{State: StateWell}
	if c := s.events(); c != nil {
		v.Since = c.Since
	}
	return v
}

// facts are what the sentences of a reason may name.
func (s *server) facts(reason, err string) []string {
	addr, text := s.settings.addr, err
	text = strings.TrimPrefix(text, reason+": ")
	switch reason {
	case "dial":
		addr, text = dialed(addr, text)
	case "auth":
		text = refusal(text)
	}
	facts := []string{
		"{addr}", cmp.Or(addr, "its ADDR"), "{error}", cmp.Or(strings.TrimRight(text, ". "), "no more is known"),
		"{LOGIN_TIMEOUT}", setting(s.settings.loginTimeout, "LOGIN_TIMEOUT"), "{READ_TIMEOUT}", setting(s.settings.readTimeout, "READ_TIMEOUT"),
	}
	if s.buffers == nil {
		return append(facts, "{percent}", "0", "{in}", "0", "{out}", "0")
	}
	in, stored, _ := s.rates()
	return append(facts, "{percent}", s.buffers.Outbox.percent(), "{in}", Rate(in), "{out}", Rate(stored))
}

// setting is the value of a setting or, if it is not said, its name.
func setting(d time.Duration, name string) string {
	if d <= 0 {
		return name
	}
	return Age(d)
}

// dialed takes the words of package net apart: "dial tcp 10.0.0.1:5038: connect:
// connection refused" has the address and the error.
func dialed(addr, text string) (string, string) {
	rest, ok := strings.CutPrefix(text, "dial tcp")
	if !ok {
		return addr, text
	}
	to, rest, ok := strings.Cut(rest, ": ")
	if !ok {
		return addr, text
	}
	if to = strings.TrimSpace(to); to != "" {
		addr = cmp.Or(addr, to)
	}
	return addr, strings.TrimPrefix(rest, "connect: ")
}

// refusal is what Asterisk said of a refused login, out of the error of package
// amiconn: Login refused: "Authentication failed".
func refusal(text string) string {
	_, quoted, ok := strings.Cut(text, ` refused: "`)
	if !ok {
		return text
	}
	said, more, ok := strings.Cut(quoted, `"`)
	if !ok || said == "" {
		return text
	}
	return said + more
}

// percent is how full b is, in whole percent; what holds anything is not 0.
func (b *Buffer) percent() string {
	if b.Capacity <= 0 || b.fill() <= 0 {
		return "0"
	}
	return fmt.Sprint(int(math.Max(1, math.Min(math.Round(b.Percent()), 999))))
}
