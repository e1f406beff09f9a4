package view

import (
	"encoding/json"
	"strings"
	"time"
)

// Options are what a Model needs to know.
type Options struct {
	// Prefix is BRIDGE_SUBJECT_PREFIX.
	Prefix string
	// Interval is BRIDGE_STATUS_INTERVAL, for nodes that do not say theirs.
	Interval time.Duration
	// OutboxTotal is BRIDGE_OUTBOX_TOTAL_BYTES, for nodes that do not say theirs; 0 if
	// it is not known.
	OutboxTotal int64
}

// Model is what is known of bridges and servers. It is not safe for concurrent use.
type Model struct {
	opts     Options
	first    time.Time     // that the caller said
	now      time.Time     // the latest
	set      time.Duration // by how much the caller's clock was set since the first
	servers  map[string]*server
	nodes    map[string]*node
	changes  changes
	lost     lostRing
	objects  int // of all servers
	hasState bool
	ignored  uint64
}

// New returns a Model that knows nothing yet.
func New(opts Options) *Model {
	if opts.Prefix == "" {
		opts.Prefix = "ami"
	}
	if opts.Interval <= 0 {
		opts.Interval = 5 * time.Second
	}
	return &Model{opts: opts, servers: make(map[string]*server), nodes: make(map[string]*node), changes: newChanges()}
}

// Status takes, at the time now, a message of a status or node subject that has just been sent. Nothing
// of payload is held on to.
//
// All times of a Model are by the caller's clock: what a node says by its own is shifted
// by how far that is off, if it is more than two seconds.
func (m *Model) Status(subject string, payload []byte, now time.Time) {
	m.arrives(subject, payload, arrival{now: now})
}

// Kept is Status of a message that a stream has as the last of its subject since stored, by the caller's clock. It may
// be an old one, and is at least as old as that, whatever the clock of its node said.
func (m *Model) Kept(subject string, payload []byte, stored, now time.Time) {
	m.arrives(subject, payload, arrival{now, true, stored})
}

func (m *Model) arrives(subject string, payload []byte, arrived arrival) {
	m.advance(arrived.now)
	if !m.status(subject, payload, arrived) {
		m.ignored++
	}
}

// arrival is when a message came, and of one that was kept since when it was.
type arrival struct {
	now    time.Time
	kept   bool
	stored time.Time
}

func (m *Model) status(subject string, payload []byte, arrived arrival) bool {
	rest, ok := strings.CutPrefix(subject, m.opts.Prefix+".")
	if !ok || len(payload) > maxPayload {
		return false
	}
	kind, rest, _ := strings.Cut(rest, ".")
	if kind == "nodes" {
		return m.nodeStatus(rest, payload, arrived)
	}
	name, what, _ := strings.Cut(rest, ".")
	if kind != "status" || !isName(name, 32) {
		return false
	}
	switch what {
	case "connection":
		return take(m, name, payload, arrived, (*server).connection)
	case "breaker":
		return take(m, name, payload, arrived, (*server).breakerChanged)
	case "buffers":
		return take(m, name, payload, arrived, (*server).takeBuffers)
	case "gap":
		return take(m, name, payload, arrived, (*server).takeGap)
	case "ha":
		return take(m, name, payload, arrived, (*server).takeHA)
	}
	return false
}

// sender is what each message begins with.
func (f *from) sender() *from { return f }

// news is what came with a message.
type news struct {
	m    *Model
	node *node
	at   time.Time // when it was made, by the caller's clock
	kept bool      // by a stream: it may be old
}

// shift is t of the node's clock by the caller's.
func (n *news) shift(t stamp) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.Add(n.node.skew(n.m))
}

// since is t by the caller's clock; when the message was made, if t is not known or later.
func (n *news) since(t stamp) time.Time {
	if since := n.shift(t); !since.IsZero() && !since.After(n.at) {
		return since
	}
	return n.at
}

// take reads payload and hands it to the server, if it is from the node that speaks for it.
func take[T any, P interface {
	*T
	sender() *from
}](m *Model, name string, payload []byte, arrived arrival, tell func(*server, *news, P)) bool {
	msg := P(new(T))
	if json.Unmarshal(payload, msg) != nil || !isName(msg.sender().Node, 64) || msg.sender().At.IsZero() {
		return false
	}
	n := m.node(msg.sender().Node)
	s := m.server(name)
	if n == nil || s == nil {
		return false
	}
	about := n.observe(m, msg.sender().At, arrived)
	ha, _ := any(msg).(*haMsg)
	if !s.speaksFor(about, ha) {
		return true
	}
	if about.at.After(s.lastSeen) {
		s.lastSeen = about.at
	}
	tell(s, about, msg)
	return true
}

// server returns the server of that name, a new one if need be; nil if there are too many.
func (m *Model) server(name string) *server {
	s := m.servers[name]
	if s == nil && len(m.servers) < maxServers {
		s = newServer(strings.Clone(name))
		m.servers[s.name] = s
	}
	return s
}

func (m *Model) node(name string) *node {
	n := m.nodes[name]
	if n == nil && (len(m.nodes) < maxNodes || m.forgetNode()) {
		n = &node{name: strings.Clone(name)}
		m.nodes[n.name] = n
	}
	return n
}

// forgetNode makes room where one is silent: AMI_STATUS keeps the last word of each that ever was.
func (m *Model) forgetNode() bool {
	var oldest *node
	for _, n := range m.nodes {
		if m.isSilent(n, n.lastSeen, m.now) && (oldest == nil || n.lastSeen.Before(oldest.lastSeen)) {
			oldest = n
		}
	}
	if oldest == nil {
		return false
	}
	delete(m.nodes, oldest.name)
	return true
}

func (m *Model) advance(now time.Time) {
	if !now.After(m.now) {
		return
	}
	if now.Round(0).Before(m.now.Round(0)) {
		m.setBack(now)
	}
	if m.first.IsZero() {
		m.first = now
	}
	m.now, m.set = now, now.Round(0).Sub(m.first.Round(0))-now.Sub(m.first)
}

// Tick tells the time. It is to be called about once a second: queues' pasts are
// sampled then, and what is over is forgotten.
func (m *Model) Tick(now time.Time) {
	m.advance(now)
	m.lost.advance(now)
	m.sumOutboxes(now)
	for name, s := range m.servers {
		s.tick(m, now)
		if m.isForgotten(s, now) {
			m.objects -= len(s.objects)
			delete(m.servers, name)
		}
	}
	for name, n := range m.nodes {
		if m.isReplaced(n, now) {
			delete(m.nodes, name)
		}
	}
}

// interval is the status interval of whoever speaks for s.
func (m *Model) interval(n *node) time.Duration {
	if n != nil && n.interval > 0 {
		return n.interval
	}
	return m.opts.Interval
}

// isSilent says whether a node's or a server's newest word, of heard, is too old.
func (m *Model) isSilent(n *node, lastSeen, now time.Time) bool {
	return lastSeen.IsZero() || now.Sub(lastSeen) > staleIntervals*m.interval(n)
}

// isForgotten says whether s is a server of the past: a bridge that lives spoke for it
// and names it no more, or it has been silent for days. AMI_STATUS keeps the last word
// on it for ever. One whose bridge has died just now is not of the past.
func (m *Model) isForgotten(s *server, now time.Time) bool {
	n := m.nodes[s.node]
	if !m.isSilent(n, s.lastSeen, now) || m.isNamed(s.name, now) || !m.anyLives(now) {
		return false
	}
	if n != nil && n.ownWord && !m.isSilent(n, n.lastSeen, now) {
		return true
	}
	lastSeen := s.lastSeen
	for _, n := range m.nodes {
		if n.names[s.name] && n.lastSeen.After(lastSeen) {
			lastSeen = n.lastSeen
		}
	}
	return now.Sub(lastSeen) > serverForgotten
}

// isReplaced says whether n is a bridge of the past: silent for long, and all its
// servers are those of bridges that live.
func (m *Model) isReplaced(n *node, now time.Time) bool {
	if now.Sub(n.lastSeen) < nodeForgotten || !m.isSilent(n, n.lastSeen, now) || !m.anyLives(now) {
		return false
	}
	for name := range n.names {
		if !m.isNamed(name, now) {
			return false
		}
	}
	return true
}

func (m *Model) anyLives(now time.Time) bool {
	for _, n := range m.nodes {
		if n.ownWord && !m.isSilent(n, n.lastSeen, now) {
			return true
		}
	}
	return false
}

func (m *Model) isNamed(server string, now time.Time) bool {
	for _, n := range m.nodes {
		if n.names[server] && !m.isSilent(n, n.lastSeen, now) {
			return true
		}
	}
	return false
}
