package view

import (
	"cmp"
	"slices"
	"time"
)

// Bridge is one bridge process.
type Bridge struct {
	Node    string `json:"node"`
	Version string `json:"version"`
	At      Time   `json:"at"`   // its newest word
	Live    bool   `json:"live"` // that is new enough
	Since   Time   `json:"since"`
	Servers int    `json:"servers"`
	Ready   int    `json:"ready"` // of those: all sessions are up
	// Leads and StandsBy are of how many servers, where two bridges share them.
	Leads       int          `json:"leads"`
	StandsBy    int          `json:"stands_by"`
	InSync      int          `json:"in_sync"` // of those that it stands by for
	Connections []Connection `json:"connections"`
	Delivery    Delivery     `json:"delivery"`
	// Refused are requests at any, all and groups, before a server had them; null: it does
	// not say.
	Refused *Refusals `json:"refused"`
	State   Kept      `json:"state"`
}

// Role is what a bridge is where two share servers: leader, in sync, standby; empty
// elsewhere, and not known of one that is silent.
func (b *Bridge) Role() string {
	switch {
	case !b.Live:
		return "not known"
	case b.Leads > 0 && b.StandsBy > 0:
		return "leads " + Count(uint64(b.Leads))
	case b.Leads > 0:
		return "leader"
	case b.StandsBy > 0 && b.InSync == b.StandsBy:
		return "in sync"
	case b.StandsBy > 0:
		return "standby"
	}
	return ""
}

// Connection is one of a bridge's connections to NATS.
type Connection struct {
	Name  string `json:"name"`  // events, control
	State string `json:"state"` // as nats.go says it
	Since Time   `json:"since"` // null: since before it was looked at
}

// Delivery is how a bridge gives away what it has.
type Delivery struct {
	Mode            string   `json:"delivery"`
	Way             string   `json:"way"`
	Streams         []Stream `json:"streams"`
	Leaf            *Leaf    `json:"leaf"`
	AuditQueued     uint64   `json:"audit_queued"`
	AuditLost       uint64   `json:"audit_lost"`
	LogLinesLost    uint64   `json:"log_lines_lost"`
	RequestsDropped uint64   `json:"requests_dropped"`
	RepliesDenied   uint64   `json:"replies_denied"`
	Unanswered      []string `json:"unanswered"`
}

// Stream is how one stands.
type Stream struct {
	Name     string `json:"name"`
	State    string `json:"state"`
	Error    string `json:"error"`
	Messages uint64 `json:"messages"`
	Bytes    uint64 `json:"bytes"`
	Since    Time   `json:"since"`
}

// Leaf is the connection to a hub.
type Leaf struct {
	Connected bool `json:"connected"`
	Since     Time `json:"since"`
}

// bridges returns those that tell of themselves or are known to another, by name.
func (m *Model) bridges(now time.Time) []Bridge {
	all := make([]Bridge, 0, len(m.nodes))
	for _, n := range m.nodes {
		if !n.ownWord && n.peer != nil {
			all = append(all, n.peerBridge())
		}
		if !n.ownWord {
			continue
		}
		b := Bridge{
			Node: n.name, Version: n.version, At: Time{n.lastSeen}, Live: !m.isSilent(n, n.lastSeen, now), Since: Time{n.lastSeen.Add(-n.up)},
			Servers: len(n.names), Ready: n.ready, Connections: n.connections, Delivery: n.delivery, Refused: n.refusals, State: n.state,
		}
		m.roles(&b)
		all = append(all, b)
	}
	slices.SortFunc(all, func(a, b Bridge) int { return cmp.Compare(a.Node, b.Node) })
	return all
}

// peerBridge is a bridge of which only another one tells: what is not known of it is empty.
func (n *node) peerBridge() Bridge {
	p := n.peer
	return Bridge{
		Node: n.name, At: Time{n.lastSeen}, Live: p.Live, Leads: p.Leads, StandsBy: p.StandsBy, InSync: p.InSync,
		Connections: []Connection{}, Delivery: Delivery{Streams: []Stream{}, Unanswered: []string{}},
	}
}

// roles counts the servers that b leads and stands by for.
func (m *Model) roles(b *Bridge) {
	for _, s := range m.servers {
		if s.ha == nil {
			continue
		}
		if s.ha.Leader == b.Node {
			b.Leads++
		}
		for _, standby := range s.ha.Standbys {
			if standby.Node == b.Node {
				b.StandsBy++
				if standby.State == inSync {
					b.InSync++
				}
			}
		}
	}
}

// natsAt says how those bridges that live are connected to NATS.
func (m *Model) natsAt(servers []Server, now time.Time) NATS {
	view := NATS{Up: true}
	lives, ups := 0, 0
	for _, n := range m.nodes {
		if !n.ownWord || m.isSilent(n, n.lastSeen, now) {
			continue
		}
		lives++
		isUp, since := n.events()
		if isUp {
			ups++
		}
		if since.After(view.Since.Time) { // none of them could, from the last one on
			view.Since = Time{since}
		}
	}
	view.Up = ups > 0 || lives == 0
	for i := range servers {
		if f := servers[i].Forecast; f != nil && (view.FirstFull.IsZero() || f.Full.Before(view.FirstFull.Time)) {
			view.FirstFull, view.First = f.Full, servers[i].Name
		}
	}
	return view
}
