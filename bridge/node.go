package bridge

import (
	"slices"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/ingest"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/clock"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/subject"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/state"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/status"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
)

// nodeMsg is this process.
type nodeMsg struct {
	Node    string   `json:"node"`
	Version string   `json:"version"`
	At      string   `json:"at"`
	UptimeS int64    `json:"uptime_s"`
	Servers []string `json:"servers"`
	Ready   []string `json:"ready"`
	NATS    string   `json:"nats"`
	// Connections are the states of events and control, Unanswered the endpoints
	// whose requests do not arrive.
	Connections  map[string]string `json:"connections"`
	Unanswered   []string          `json:"unanswered"`
	Delivery     string            `json:"delivery"`
	Way          string            `json:"way"`
	LogLinesLost uint64            `json:"log_lines_lost"`
	AuditQueued  int               `json:"audit_queued"`
	AuditLost    uint64            `json:"audit_lost"`
	// RequestsDropped were never read: too many waited.
	RequestsDropped uint64 `json:"requests_dropped"`
	// RepliesDenied did not reach their callers: NATS did not let the bridge publish them.
	RepliesDenied uint64 `json:"replies_denied"`
	// Those that were refused before a server had them: at any, all and groups.
	status.RefusedReport

	// StatusIntervalMS is how often it says so, OutboxTotalBytes what all outboxes may hold.
	StatusIntervalMS int64 `json:"status_interval_ms"`
	OutboxTotalBytes int64 `json:"outbox_total_bytes"`

	Streams []streams.Report   `json:"streams"`
	State   state.Report       `json:"state"`
	Leaf    *status.LeafReport `json:"leaf,omitempty"`
	HA      *nodeHA            `json:"ha,omitempty"`
}

// publishNode publishes the state of this process. It is for the status goroutine.
func (b *Bridge) publishNode(now time.Time) {
	b.streams.MarkPublished()
	b.state.MarkPublished()
	b.status.PublishWhile(subject.Key{Subject: b.nodeSubject()}, b.nodeStatus(now), func() bool { return b.ha == nil || !b.ha.StandsAside() })
}

func (b *Bridge) nodeSubject() string { return b.cfg.SubjectPrefix + ".nodes." + b.cfg.Node }

// nodeStatus is the state of this process at now.
func (b *Bridge) nodeStatus(now time.Time) nodeMsg {
	node := nodeMsg{
		Node: b.cfg.Node, Version: b.deps.Version, At: clock.Stamp(now), UptimeS: int64(now.Sub(b.started).Seconds()),
		Servers: []string{}, Ready: []string{}, NATS: b.nats(), Connections: b.connections(), Unanswered: []string{}, Delivery: b.cfg.Delivery.String(),
		StatusIntervalMS: b.cfg.StatusInterval.Milliseconds(), OutboxTotalBytes: int64(b.cfg.OutboxTotalBytes),
	}
	for name, state := range b.answerable() {
		if !arrives(state) {
			node.Unanswered = append(node.Unanswered, name)
		}
	}
	slices.Sort(node.Unanswered)
	node.Way = b.publisher.Mode()
	node.AuditQueued, _ = b.records.Left()
	_, node.AuditLost = b.audit.Counts()
	node.Streams, node.State = b.streams.States(), b.state.Report()
	node.Leaf, node.HA = b.leaf.Look(now), b.nodeShared()
	node.RequestsDropped, node.RefusedReport = b.actions.Dropped(), refusedReport(b.actions.Refused())
	node.RepliesDenied = b.replier.Denied()
	if b.deps.LogLost != nil {
		node.LogLinesLost = b.deps.LogLost()
	}
	for _, s := range b.servers.here() {
		node.Servers = append(node.Servers, s.cfg.Name)
		if s.link.Ready() {
			node.Ready = append(node.Ready, s.cfg.Name)
		}
	}
	return node
}

// tick publishes the state of every session, breaker and buffer and of the
// node, and closes the gaps whose session has brought no event for long. A server that
// leaves goes with its last state, once nothing of it is left.
func (b *Bridge) tick() {
	now := time.Now()
	b.audit.LogLost()
	b.actions.LogDropped(now)
	b.logEnded(now)
	for _, s := range b.servers.here() {
		s.status.Tick(now, new(s.link.Status()))
		old := now.Add(-ingest.GapIntervals * b.cfg.StatusInterval)
		s.ingest.CloseOldGap(old)
		s.ingest.LogUnread(old)
	}
	for _, s := range b.servers.leaving() {
		empty := s.isEmpty()
		if empty {
			s.status.EndSums()
		}
		if s.status.Tick(now, new(s.link.Status())); empty {
			b.forget(s)
		}
	}
	b.publishNode(now)
}

// look publishes what has changed for the worse or the better since the last tick, of the servers
// that have something to look at.
func (b *Bridge) look() {
	if b.streams.HasChanged() || b.state.HasChanged() {
		b.publishNode(time.Now())
	}
	now := time.Now()
	for _, s := range b.servers.all() {
		s.status.Look(now, s.link.Status)
	}
}

// EndSums has all counts logged that no line has had yet.
func (b *Bridge) endSums() {
	b.audit.EndSums()
	b.actions.EndSums()
	if page := b.page.Load(); page != nil {
		page.logged.End()
	}
	for _, s := range b.servers.all() {
		s.status.EndSums()
	}
}
