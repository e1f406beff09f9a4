package status

import (
	"math"
	"time"
)

// ActionsReport is what became of the requests for a server's Actions.
type ActionsReport struct {
	Answered uint64   `json:"answered"`
	Failed   uint64   `json:"failed"` // given to Asterisk, ended in an error
	P95MS    *float64 `json:"p95_ms"` // of those that ended of late; null: there were none
	RefusedReport
}

// RefusedReport is how many requests were refused, by kind, those that there were, and the
// last of them. The audit has a record of each, or counts it in one.
type RefusedReport struct {
	Refused map[string]uint64 `json:"refused"`
	Last    *Refusal          `json:"last_refused"` // null: there was none
}

// Refusal is a request that was not given to Asterisk.
type Refusal struct {
	At     string `json:"at"`
	Action string `json:"action"`
	Kind   string `json:"kind"`
}

// CountActions has report be asked for what became of the server's Actions. report may be
// called from any goroutine and must not wait. Another takes its place.
func (s *Server) CountActions(report func(now time.Time) ActionsReport) { s.actions.Store(&report) }

func (s *Server) actionsReport(now time.Time) ActionsReport {
	if report := s.actions.Load(); report != nil {
		return (*report)(now)
	}
	return ActionsReport{RefusedReport: RefusedReport{Refused: make(map[string]uint64)}}
}

// ratesMsg is how fast counts grow, a second, over the last interval: who looks once has
// no other count to compare with.
type ratesMsg struct {
	Received  float64 `json:"received"`
	Published float64 `json:"published"`
	Actions   float64 `json:"actions"` // answered or failed
}

// shortestRate is the least time that makes a rate: two words may be close together.
const shortestRate = time.Second

// rated is what the rates are counted from, and what they were last. It is not changed once made.
type rated struct {
	at                         time.Time // zero: no interval is over
	received, published, ended uint64
	rates                      *ratesMsg // nil: not known yet
}

// rate puts the rates into m, which is of now. It is for the status goroutine.
func (s *Server) rate(m *buffersMsg, now time.Time) {
	before, ended := s.rated.Load(), m.Actions.Answered+m.Actions.Failed
	if before.at.IsZero() { // it may have been made long before its Link ran
		s.rated.Store(&rated{now, m.Received, m.Published, ended, nil})
		return
	}
	took := now.Sub(before.at)
	if took < shortestRate {
		return
	}
	grown := func(n, from uint64) float64 {
		if n < from { // counted anew: its Link is another one
			from = 0
		}
		return math.Round(10*float64(n-from)/took.Seconds()) / 10
	}
	m.Rates = &ratesMsg{grown(m.Received, before.received), grown(m.Published, before.published), grown(ended, before.ended)}
	s.rated.Store(&rated{now, m.Received, m.Published, ended, m.Rates})
}
