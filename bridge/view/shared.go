package view

import (
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// HA is who leads a server and who stands by.
type HA struct {
	Leader   string    `json:"leader"` // empty: nobody leads
	Term     uint64    `json:"term"`
	Since    Time      `json:"since"`
	Reason   string    `json:"reason"`
	Standbys []Standby `json:"standbys"`
}

// Standby is a bridge that stands by.
type Standby struct {
	Node   string `json:"node"`
	State  string `json:"state"`  // in_sync, joining, apart
	Reason string `json:"reason"` // why it is apart
	// Lag is how many events it is behind, as the leader knows it; null if it does not.
	Lag *float64 `json:"lag"`
	// LagS is for how many seconds it has been behind; null if nobody knows.
	LagS *float64 `json:"lag_s"`
}

// Text says who leads and who stands by: "b1 leads, b2 in sync, b3 apart: differs".
func (h *HA) Text() string {
	text := h.Leader + " leads"
	if h.Leader == "" {
		text = "nobody leads"
	}
	if len(h.Standbys) == 0 {
		return text
	}
	return text + ", " + h.StandbysText()
}

// StandbysText says who stands by: "b2 in sync, b3 apart: differs".
func (h *HA) StandbysText() string {
	var all []string
	for _, b := range h.Standbys {
		all = append(all, b.Node+" "+b.text())
	}
	return strings.Join(all, ", ")
}

// Who is who leads, in words for a column: "nobody" if that is nobody. It is empty of a nil h.
func (h *HA) Who() string {
	switch {
	case h == nil:
		return ""
	case h.Leader == "":
		return "nobody"
	}
	return h.Leader
}

// Covered says whether a bridge stands by in sync: it takes over without a Gap.
func (h *HA) Covered() bool {
	return slices.ContainsFunc(h.Standbys, func(b Standby) bool { return b.State == inSync })
}

// inSync is the State of a Standby that is.
const inSync = "in_sync"

func (b *Standby) text() string {
	text := strings.ReplaceAll(b.State, "_", " ")
	if b.Reason != "" {
		text += ": " + b.Reason
	}
	if b.LagS != nil && *b.LagS >= lagShown {
		text += " (lags " + Age(seconds(*b.LagS)) + ")"
	}
	return text
}

// lagShown is from how many seconds on it is said that a standby is behind: less is the time
// between two words of its leader.
const lagShown = 2

// seconds are s as far as a duration of use goes.
func seconds(s float64) time.Duration {
	return time.Duration(min(s, forecastLimit.Seconds()) * float64(time.Second))
}

// standby returns the one of that node; nil if it stands not by.
func (h *HA) standby(node string) *Standby {
	for i := range h.Standbys {
		if h.Standbys[i].Node == node {
			return &h.Standbys[i]
		}
	}
	return nil
}

// number is raw as a number; nil if it is none.
func number(raw json.RawMessage) *float64 {
	n, err := strconv.ParseFloat(string(raw), 64)
	if err != nil || math.IsInf(n, 0) || math.IsNaN(n) {
		return nil
	}
	return &n
}

func (s *server) takeHA(about *news, msg *haMsg) {
	ha := &HA{Leader: cleanTo(msg.Leader, 64), Term: msg.Term, Since: Time{about.shift(msg.Since)}, Reason: cleanTo(msg.Reason, 64), Standbys: []Standby{}}
	for _, b := range msg.Standbys[:min(len(msg.Standbys), maxStandbys)] {
		standby := Standby{Node: cleanTo(b.Node, 64), State: cleanTo(b.State, 32), Reason: cleanTo(b.Reason, 32)}
		standby.Lag, standby.LagS = number(b.Lag), number(b.LagS)
		ha.Standbys = append(ha.Standbys, standby)
	}
	switch before := s.ha; {
	case before == nil || before.Leader == ha.Leader:
	case ha.Leader == "":
		about.m.changes.add(change(about.at, s.name, "", "ha", "nobody leads"))
	default:
		about.m.changes.add(change(about.at, s.name, "", "ha", ha.Leader+" leads"))
	}
	s.ha, s.haFrom = ha, about.node.name
}

// isStoodBy says whether the bridge that speaks for s says that another one leads it.
func (s *server) isStoodBy() bool {
	return s.ha != nil && s.haFrom == s.node && s.ha.Leader != "" && s.ha.Leader != s.node
}

// standsBy says how a server is that another bridge leads, for the one that speaks: it
// knows of its own session alone. Only a bridge itself has this to say.
func (s *server) standsBy() (Verdict, bool) {
	if !s.isStoodBy() {
		return Verdict{}, false
	}
	facts := []string{"{leader}", s.ha.Leader, "{state}", "not in sync"}
	own := s.ha.standby(s.node)
	if own != nil {
		facts[3] = own.text()
	}
	state, words := StateWell, standingBy
	switch c := s.events(); {
	case own == nil && (c == nil || c.State == "stopped"):
		words = standingAside
	case c == nil || c.State != up:
		state, words = StateUnknown, standingApart
	}
	v := verdict(state, words, facts)
	v.Word, v.Since = ledBy(s.ha.Leader), s.ha.Since
	return v, true
}

// LedElsewhere says whether another bridge than the one that speaks leads s: what that one
// holds of it waits for nothing.
func (s *Server) LedElsewhere() bool { return s.HA != nil && s.Word == ledBy(s.HA.Leader) }

// ledBy is the word of a server that another bridge leads.
func ledBy(node string) string { return "led by " + node }

// ledByNobody: events wait in the memory of those that stand by.
func (s *server) ledByNobody(now time.Time) (Verdict, bool) {
	if s.ha == nil || s.haFrom != s.node || s.ha.Leader != "" || now.Sub(s.ha.Since.Time) < takeOverTime {
		return Verdict{}, false
	}
	v := verdict(StateTrouble, nobodyLeads, nil)
	v.Since = s.ha.Since
	return v, true
}

// Peer is another bridge, as the one that is asked knows it.
type Peer struct {
	Node     string
	At       time.Time // its newest word
	Live     bool      // that is new enough
	Leads    int
	StandsBy int
	InSync   int // of those that it stands by for
}

// Peers takes how the other bridges are at the time now. Only a bridge itself has that to
// say: whoever reads what all say knows more.
func (m *Model) Peers(all []Peer, now time.Time) {
	m.advance(now)
	for _, p := range all {
		n := m.node(p.Node)
		if n == nil {
			m.ignored++
			continue
		}
		n.peer = &p
		if p.At.After(n.lastSeen) {
			n.lastSeen = p.At
		}
	}
}
