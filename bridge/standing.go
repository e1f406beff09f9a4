package bridge

import (
	"cmp"
	"slices"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/standby"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/status"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/view"
)

// shownShared is how many servers are named in each list of nodeHA; of more only the number
// is there.
const shownShared = 256

// nodeHA is what this bridge leads and stands by for.
type nodeHA struct {
	Leads    int          `json:"leads"`
	StandsBy int          `json:"stands_by"`
	InSync   int          `json:"in_sync"` // of those that it stands by for
	Led      []string     `json:"led"`
	Stood    []nodeStands `json:"stood_by"` // those that are not in sync first
}

// nodeStands is a server that this bridge stands by for. Its sessions are this bridge's own,
// for nobody else tells of them.
type nodeStands struct {
	Server   string            `json:"server"`
	Leader   string            `json:"leader"`
	State    string            `json:"state"`
	Reason   string            `json:"reason,omitempty"`
	Lag      *uint64           `json:"lag"`
	LagS     *float64          `json:"lag_s"`
	Sessions map[string]string `json:"sessions"`
}

// nodeShared is what this bridge leads and stands by for; nil if no others share its servers.
func (b *Bridge) nodeShared() *nodeHA {
	if b.ha == nil {
		return nil
	}
	all := &nodeHA{Led: []string{}, Stood: []nodeStands{}}
	for _, s := range b.servers.here() {
		standing := s.shared.Standing()
		switch {
		case standing == nil:
			continue
		case standing.Leader == b.cfg.Node:
			all.Leads++
			all.Led = append(all.Led, s.cfg.Name)
			continue
		case s.rests():
			continue
		}
		own, sessions := s.shared.Own(), make(map[string]string)
		for _, session := range s.link.Status().Sessions {
			sessions[session.Name] = session.State.String()
		}
		all.StandsBy++
		if own.State == standby.InSync {
			all.InSync++
		}
		all.Stood = append(all.Stood, nodeStands{
			Server: s.cfg.Name, Leader: standing.Leader, State: own.State.String(), Reason: string(own.Reason), Lag: status.LagOf(own),
			LagS:     status.LagSecondsOf(own),
			Sessions: sessions,
		})
	}
	behind := func(s nodeStands) bool { return s.State != standby.InSync.String() }
	slices.SortStableFunc(all.Stood, func(a, b nodeStands) int { return cmp.Compare(one(behind(b)), one(behind(a))) })
	all.Led, all.Stood = all.Led[:min(len(all.Led), shownShared)], all.Stood[:min(len(all.Stood), shownShared)]
	return all
}

// peers are the other bridges that share servers with this one.
func (b *Bridge) peers() (all []view.Peer) {
	if b.ha == nil {
		return nil
	}
	for _, p := range b.ha.Peers() {
		all = append(all, view.Peer{Node: p.Node, At: p.At, Live: p.Alive, Leads: p.Leads, StandsBy: p.StandsBy, InSync: p.InSync})
	}
	return all
}
