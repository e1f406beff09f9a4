package view

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"strings"
	"time"
)

// Refusals are the requests for Actions that were refused: not given to Asterisk. The
// audit has a record of each, or counts it in one.
type Refusals struct {
	Count uint64            `json:"count"` // since the bridge began
	Kinds map[string]uint64 `json:"kinds"` // as replies and the audit spell them
	Last  *Refusal          `json:"last"`  // null: there was none
}

// Refusal is one of them.
type Refusal struct {
	At     Time   `json:"at"`
	Action string `json:"action"`
	Kind   string `json:"kind"`
}

// Text says it in words, with times as somebody at now reads them: "12 refused: 11 forbidden,
// 1 busy; the last at 03:01:22: Originate, forbidden".
func (r *Refusals) Text(now time.Time) string {
	switch {
	case r == nil:
		return ""
	case r.Count == 0:
		return "none refused"
	}
	var kinds []string
	for _, kind := range slices.SortedFunc(maps.Keys(r.Kinds), func(a, b string) int {
		return cmp.Or(cmp.Compare(r.Kinds[b], r.Kinds[a]), cmp.Compare(a, b))
	}) {
		kinds = append(kinds, Count(r.Kinds[kind])+" "+kind)
	}
	text := Count(r.Count) + " refused: " + strings.Join(kinds, ", ")
	if l := r.Last; l != nil {
		text += "; the last at " + Moment(l.At, now) + ": " + l.Action + ", " + l.Kind
	}
	return text
}

// refusals are what msg says of them; nil if it says nothing.
func (n *news) refusals(msg *refusedMsg) *Refusals {
	if msg.Refused == nil {
		return nil
	}
	r := &Refusals{Kinds: boundCounts(msg.Refused)}
	r.Count = sum(r.Kinds)
	if l := msg.Last; l != nil {
		r.Last = &Refusal{At: Time{n.shift(l.At)}, Action: cleanTo(l.Action, 64), Kind: cleanTo(l.Kind, 32)}
	}
	return r
}

// takeActions takes what became of the requests for a server's Actions; msg is nil of a
// bridge that does not say.
func (s *server) takeActions(about *news, msg *actionsMsg) {
	if msg == nil {
		s.refusals = nil
		return
	}
	s.refusals = about.refusals(&msg.refusedMsg)
	s.actions.add(msg.Answered+msg.Failed, about.at)
	s.p95Past.raise(about.at, ringStep, uint64(1000*msg.p95()))
}

// p95 is in milliseconds, an hour at most; 0 if there were none.
func (msg *actionsMsg) p95() float64 { return math.Min(math.Max(orZero(msg.P95MS), 0), 3_600_000) }

// actionRates puts into r what is known of Actions.
func (s *server) actionRates(r *Rates, now time.Time) {
	if s.buffers == nil || s.buffers.Actions == nil {
		return
	}
	said, ok := s.said()
	switch {
	case s.actions.seen:
		r.Actions = new(tenths(s.actions.rate))
		for _, micros := range s.p95Past.all(now, ringStep) {
			r.P95Past = append(r.P95Past, float64(micros)/1000)
		}
	case ok:
		r.Actions = new(tenths(max(said.Actions, 0)))
	}
	if p95 := s.buffers.Actions.p95(); p95 > 0 && r.Actions != nil {
		r.P95 = &p95
	}
}
