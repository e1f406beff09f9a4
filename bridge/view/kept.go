package view

import (
	"maps"
	"slices"
	"strings"
)

// Kept is whether a bridge keeps what is up at its servers, AMI_STATE, and why not.
type Kept struct {
	State  string `json:"state"`  // on, waiting, off; empty if it does not say
	Reason string `json:"reason"` // empty if it is on
}

// keptOn is the State of one that does.
const keptOn = "on"

// NoFloor says why there is no floor, in the words of node, or, if that is no bridge that is
// known, of another; empty if there is one.
func (s *Snapshot) NoFloor(node string) string {
	if s.Floor != nil {
		return ""
	}
	var said *Kept
	for i := range s.Bridges {
		b := &s.Bridges[i]
		if b.Node == node || said == nil || said.State == keptOn {
			said = &b.State
		}
		if b.Node == node {
			break
		}
	}
	switch {
	case said == nil:
		return "Nothing is known of the state of calls, queues and agents yet."
	case said.State == keptOn:
		return "The state is kept of no server: BRIDGE_AMI_STATE says of which, and what."
	case said.State == "waiting":
		return "The state waits: " + said.Reason + "."
	case said.Reason == "":
		return "The state is off: BRIDGE_STATE, or there is no bucket."
	}
	return "The state is off: " + said.Reason + "."
}

// Server returns the server of that name; nil if there is none.
func (s *Snapshot) Server(name string) *Server {
	for i := range s.Servers {
		if s.Servers[i].Name == name {
			return &s.Servers[i]
		}
	}
	return nil
}

// NoPresent says why nothing is known of what is up at server; empty if it is.
func (s *Snapshot) NoPresent(server *Server) string {
	switch why := s.NoFloor(server.Node); {
	case server.Present != nil:
		return ""
	case why != "":
		return why
	}
	return "Nothing is kept of what is up at " + server.Name + ": BRIDGE_AMI_STATE, or its own BRIDGE_SERVER_<NAME>_STATE, is none."
}

// partialNames is how many servers of which the same is missing are named.
const partialNames = 3

// Partial says of which servers calls, queues and agents may be missing in what is shown as that of now, and why: a sentence
// for all of which the same is missing.
func (s *Snapshot) Partial() (all []string) {
	names := make(map[string][]string)
	for i := range s.Servers {
		if text := s.Servers[i].Partial(); text != "" {
			names[text] = append(names[text], s.Servers[i].Name)
		}
	}
	for _, text := range slices.Sorted(maps.Keys(names)) {
		who := names[text]
		slices.Sort(who)
		if n := len(who) - partialNames; n > 0 {
			who = append(who[:partialNames], Count(uint64(n))+" more")
		}
		all = append(all, strings.Join(who, ", ")+": "+text)
	}
	return all
}

// Partial says why what is shown of what is up at s may not be all; empty if it is, or is not shown as that of now.
func (s *Server) Partial() string {
	switch p := s.Present; {
	case p == nil || p.State == stale:
		return ""
	case p.State == syncing && s.LedElsewhere():
		return "another bridge leads it, this one knows what events have told: calls, queues and agents may be missing."
	case p.State == syncing:
		return "not all is known yet: calls, queues and agents may be missing."
	case p.Missing != "":
		return "not all is known: " + p.Missing + "."
	}
	return ""
}

// IsSilent says whether nothing is heard of s: all that is known of it is as it was at Since.
func (s *Server) IsSilent() bool { return s.State == StateUnknown && s.Why == silentWords.why }

// WhyFrozen says why what is up at a server is as it was then, where its sessions are
// not up; else it is empty.
func (s *Snapshot) WhyFrozen(f Frozen) string {
	for i := range s.Servers {
		if server := &s.Servers[i]; server.Name == f.Server && (server.State == StateDown || server.State == StateRefused) {
			return server.Why
		}
	}
	return ""
}
