package ha

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/standby"
)

// others is what other bridges have said of themselves, for those who ask on other
// goroutines than the Node's.
type others struct {
	mu sync.Mutex       // protects the following
	by map[string]other // by node
}

// other is one of them, by its last Heartbeat.
type other struct {
	incarnation string
	at          time.Time
	leads       []standby.Leads // not changed
}

// maxOthers bounds those that are kept; the Roster takes no more than so many. When there are
// more those are forgotten that were not heard lately.
const maxOthers = 64

func (o *others) observe(h *standby.Heartbeat, now time.Time, lately time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.by == nil {
		o.by = make(map[string]other)
	}
	o.by[h.Node] = other{h.Incarnation, now, h.Leads}
	if len(o.by) > maxOthers {
		for node, one := range o.by {
			if now.Sub(one.at) > lately {
				delete(o.by, node)
			}
		}
	}
}

// lately is for how long a bridge is heard that says nothing more.
func (n *Node) lately() time.Duration { return n.o.Config.HASilence * 3 / 2 }

// Gone reports whether the process of that incarnation is not heard any more: it has ended, or
// is silent for so long that others take for their own what it led. It may be called from any
// goroutine and does not wait.
func (n *Node) Gone(incarnation string) bool {
	now := time.Now()
	if now.Sub(n.began) < n.lately() || !n.lease.holds(now) {
		return false // this one may not have heard it yet
	}
	n.others.mu.Lock()
	defer n.others.mu.Unlock()
	for _, one := range n.others.by {
		if one.incarnation == incarnation && now.Sub(one.at) <= n.lately() {
			return false
		}
	}
	return true
}

// Elsewhere returns the servers that other bridges lead, sorted. It may be called from any
// goroutine and does not wait.
func (n *Node) Elsewhere() (servers []string) {
	now := time.Now()
	n.others.mu.Lock()
	for _, one := range n.others.by {
		if now.Sub(one.at) <= n.lately() {
			for i := range one.leads {
				servers = append(servers, one.leads[i].Server)
			}
		}
	}
	n.others.mu.Unlock()
	slices.Sort(servers)
	return slices.Compact(servers)
}

// LeaderOf returns the incarnation of the bridge that was heard last to lead the server; "" if
// none was. It may be called from any goroutine and does not wait.
func (n *Node) LeaderOf(server string) (incarnation string) {
	n.others.mu.Lock()
	defer n.others.mu.Unlock()
	term := uint64(0)
	for _, one := range n.others.by {
		for i := range one.leads {
			if l := &one.leads[i]; l.Server == server && l.Term >= term {
				incarnation, term = one.incarnation, l.Term
			}
		}
	}
	return incarnation
}

// Sure reports whether this process is not just awake from a freeze, nor cut from the others,
// so that what came to it came just now. It may be called from any goroutine and does not wait.
func (n *Node) Sure() bool { return n.lease.holds(time.Now()) }

// groups are those of the servers that requests may be for.
type groups struct {
	own   atomic.Uint64 // hash of this bridge's
	other atomic.Bool   // another bridge has others
}

// Groups says which groups this bridge has. It may be called from any goroutine and does not wait.
func (n *Node) Groups(all []config.Group) {
	groups := make(map[string][]string, len(all))
	for _, g := range all {
		groups[g.Name] = g.Servers
	}
	n.groups.own.Store(uint64(standby.GroupsHash(groups)))
}

// OtherGroups reports whether another bridge has other groups than this one. It may be called
// from any goroutine and does not wait.
func (n *Node) OtherGroups() bool { return n.groups.other.Load() }

// regroup says which groups there are, and looks at the others'.
func (n *Node) regroup(now time.Time) {
	n.roster.Group(standby.Sum(n.groups.own.Load()))
	other := n.roster.OtherGroups(now)
	if n.groups.other.Swap(other) != other {
		n.ask(func(context.Context) func() { n.o.Regroup(); return nil }, func() { n.groups.other.Store(!other) }) // again with the next
	}
}
