package bridge

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/delivery"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/natsconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
)

// metrics reads what is counted anyway whenever Prometheus asks, so that
// counting costs the hot path nothing and no number stands in two places.
type metrics struct {
	bridge *Bridge

	build, natsUp, natsRemade, missing, sessionUp              *prometheus.Desc
	received, published, filtered, dropped                     *prometheus.Desc
	queued, inFlight, outboxBytes, corrupt, replaced           *prometheus.Desc
	actions, pending, writeBytes, late, strays, unmatched, log *prometheus.Desc
	breaker, transitions, failures, gaps, panics               *prometheus.Desc
	outboxLimit, outboxHigh, writeLimit, pendingLimit          *prometheus.Desc
	busy, auditStored, auditBytes, auditLost, streams          *prometheus.Desc
	resent, delivery, duration, repeated, parts                *prometheus.Desc
	requestBytes, requestsBusy, requestsDropped                *prometheus.Desc
}

func newMetrics(b *Bridge) *metrics {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("ami_nats_bridge_"+name, help, labels, nil)
	}
	return &metrics{
		bridge:          b,
		build:           desc("build_info", "Always 1; the version is the label.", "version"),
		natsUp:          desc("nats_up", "Whether the connection to NATS is up.", "connection"),
		natsRemade:      desc("nats_connections_remade_total", "Connections to NATS made in place of one that was closed for good.", "connection"),
		missing:         desc("nats_subscriptions_missing", "Subscriptions that NATS does not let the bridge have, or that are not made yet.", "connection"),
		log:             desc("log_lines_lost_total", "Log lines that could not be written."),
		sessionUp:       desc("ami_session_up", "Whether the session is logged in.", "server", "role"),
		received:        desc("events_received_total", "Events read from Asterisk.", "server"),
		published:       desc("events_published_total", "Events that NATS has taken.", "server"),
		filtered:        desc("events_filtered_total", "Events that the filters do not want.", "server"),
		dropped:         desc("events_dropped_total", "Events lost.", "server", "reason"),
		resent:          desc("events_resent_total", "Events that were sent once more, each time.", "server"),
		delivery:        desc("delivery", "1 for the way in which events are delivered.", "way"),
		queued:          desc("outbox_events", "Events that wait in the outbox.", "server"),
		inFlight:        desc("outbox_in_flight_events", "Events that were sent and not acknowledged.", "server"),
		outboxBytes:     desc("outbox_bytes", "Bytes in the outbox.", "server"),
		corrupt:         desc("frames_corrupt_total", "Frames that are neither Event nor Response.", "server"),
		replaced:        desc("characters_replaced_total", "Bytes of events that are no text in the charset.", "server"),
		actions:         desc("actions_total", "Actions asked for, by outcome.", "server", "result"),
		duration:        desc("action_duration_seconds", "From a request to its reply, of those answered or failed.", "server"),
		pending:         desc("actions_pending", "Actions that wait for their end or their reply.", "server"),
		writeBytes:      desc("write_buffer_bytes", "Bytes of Actions that wait to be written.", "server"),
		breaker:         desc("breaker_state", "1 for the state that the server's breaker is in.", "server", "state"),
		transitions:     desc("breaker_transitions_total", "Changes of the breaker, by the state they led to.", "server", "to"),
		failures:        desc("session_failures_total", "Sessions that were lost or never came up.", "server", "reason"),
		gaps:            desc("gaps_total", "Gap events put into the stream.", "server", "reason"),
		panics:          desc("handler_panics_total", "Panics while a frame was handled; each lost one frame.", "server"),
		outboxLimit:     desc("outbox_capacity_bytes", "The most bytes that the outbox may hold.", "server"),
		outboxHigh:      desc("outbox_high_water_bytes", "The most bytes that the outbox has held.", "server"),
		writeLimit:      desc("write_buffer_capacity_bytes", "The most bytes of Actions that may wait to be written.", "server"),
		pendingLimit:    desc("actions_pending_limit", "The most Actions that may be pending.", "server"),
		busy:            desc("actions_busy_total", "Actions refused because a buffer was full.", "server", "buffer"),
		auditStored:     desc("audit_records_total", "Audit records stored, or published without JetStream."),
		streams:         desc("stream_state", "1 for the state that the stream is in.", "stream", "state"),
		auditBytes:      desc("audit_queue_bytes", "Bytes of audit records that wait to be stored."),
		auditLost:       desc("audit_records_lost_total", "Audit records lost."),
		parts:           desc("stream_parts_total", "Parts of streamed replies, by what became of them.", "server", "result"),
		requestBytes:    desc("requests_held_bytes", "Bytes of requests that have not ended.", "endpoint"),
		requestsBusy:    desc("requests_busy_total", "Requests refused because those that have not ended hold too many bytes.", "endpoint"),
		requestsDropped: desc("requests_dropped_total", "Requests that were dropped unread because too many waited.", "endpoint"),
		late:            desc("responses_late_total", "Frames for Actions that had ended.", "server"),
		strays:          desc("responses_stray_total", "Events behind a Response that had announced none; counted as late too.", "server"),
		repeated:        desc("responses_repeated_total", "Further Responses of Actions that are known to send more than one.", "server"),
		unmatched:       desc("responses_unmatched_total", "Responses to nothing that was asked.", "server"),
	}
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(ch chan<- *prometheus.Desc) { prometheus.DescribeByCollect(m, ch) }

// Collect implements prometheus.Collector.
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	b := m.bridge
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	count := func(d *prometheus.Desc, v uint64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	gauge(m.build, 1, b.deps.Version)
	for name, c := range map[string]*natsconn.Conn{"events": b.events, "control": b.control} {
		stand, all := c.Standing()
		gauge(m.natsUp, one(c.Up()), name)
		count(m.natsRemade, c.Remade(), name)
		gauge(m.missing, float64(all-stand), name)
	}
	mode := b.publisher.Mode()
	for _, each := range delivery.Modes {
		gauge(m.delivery, one(each == mode), each)
	}
	if up := b.deps.Leaf; up != nil {
		gauge(m.natsUp, one(up()), "leaf")
	}
	if b.deps.LogLost != nil {
		count(m.log, b.deps.LogLost())
	}
	_, waiting := b.records.Left()
	gauge(m.auditBytes, float64(waiting))
	stored, lost := b.audit.Counts()
	count(m.auditStored, stored)
	count(m.auditLost, lost)
	for _, s := range b.streams.States() {
		for state := range streams.NumStates {
			gauge(m.streams, one(s.State == state.String()), s.Name, state.String())
		}
	}
	for _, e := range b.actions.Endpoints() {
		bytes, refused := e.Held()
		gauge(m.requestBytes, float64(bytes), e.Name)
		count(m.requestsBusy, refused, e.Name)
		count(m.requestsDropped, e.Dropped(), e.Name)
	}
	for _, s := range b.servers {
		m.collectServer(s, gauge, count)
		n, sum, buckets := s.target.Durations()
		ch <- prometheus.MustNewConstHistogram(m.duration, n, sum.Seconds(), buckets, s.cfg.Name)
	}
}

// collectServer sends what is known of one server.
func (m *metrics) collectServer(
	s *server, gauge func(*prometheus.Desc, float64, ...string), count func(*prometheus.Desc, uint64, ...string),
) {
	name, box, link := s.cfg.Name, s.outbox.Account(), s.link.Status()
	count(m.received, box.Received, name)
	count(m.published, box.Published, name)
	count(m.filtered, box.Filtered, name)
	count(m.resent, box.Resent, name)
	for reason, n := range box.Dropped {
		count(m.dropped, n, name, reason)
	}
	gauge(m.queued, float64(box.Queued), name)
	gauge(m.inFlight, float64(box.InFlight), name)
	gauge(m.outboxBytes, float64(box.Bytes), name)
	corrupt, replaced := s.ingest.Odd()
	count(m.corrupt, corrupt, name)
	count(m.replaced, replaced+link.Calls.Replaced, name)
	for result, n := range s.target.Ends() {
		count(m.actions, n, name, result)
	}
	gauge(m.pending, float64(link.Calls.Pending+link.Calls.Held), name)
	gauge(m.writeBytes, float64(link.WriteBytes), name)
	for _, state := range []amiconn.BreakerState{amiconn.BreakerClosed, amiconn.BreakerOpen, amiconn.BreakerHalfOpen} {
		gauge(m.breaker, one(link.Breaker.State == state), name, string(state))
		count(m.transitions, link.Breaker.Transitions[state], name, string(state))
	}
	for reason, n := range link.Failed {
		count(m.failures, n, name, string(reason))
	}
	for reason, n := range s.status.Gaps() {
		count(m.gaps, n, name, reason)
	}
	count(m.panics, link.Panics, name)
	gauge(m.outboxLimit, float64(s.cfg.OutboxBytes), name)
	gauge(m.outboxHigh, float64(box.HighWater), name)
	gauge(m.writeLimit, float64(s.cfg.WriteCapacity()), name)
	gauge(m.pendingLimit, float64(s.cfg.MaxPending), name)
	count(m.busy, link.WriteRefused, name, "write_buffer")
	count(m.busy, link.CallsRefused, name, "pending_actions")
	parts := s.target.Parts()
	count(m.parts, parts.Published.Load(), name, "published")
	count(m.parts, parts.Unheard.Load(), name, "unheard")
	count(m.parts, parts.Lost.Load(), name, "lost")
	count(m.late, link.Calls.Late, name)
	count(m.strays, link.Calls.Strays, name)
	count(m.repeated, link.Calls.Repeated, name)
	count(m.unmatched, link.Calls.Unmatched, name)
	for _, session := range link.Sessions {
		gauge(m.sessionUp, one(session.State == amiconn.StateUp), name, session.Name)
	}
}

func one(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}
