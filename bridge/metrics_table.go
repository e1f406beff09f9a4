package bridge

import (
	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/actions"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/delivery"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/natsconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/present"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/standby"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
)

// bridgeMetrics are those of the process.
func bridgeMetrics() []metric[*Bridge] {
	return []metric[*Bridge]{
		{gauge, "build_info", "Always 1; the version is the label.", "version",
			func(b *Bridge, say say) { say(1, b.deps.Version) }},
		{gauge, "nats_up", "Whether the connection to NATS is up.", "connection", func(b *Bridge, say say) {
			for name, c := range b.conns() {
				say(one(c.Up()), name)
			}
			if up := b.deps.Leaf; up != nil {
				say(one(up()), "leaf")
			}
		}},
		{counter, "nats_connections_remade_total", "Connections to NATS made in place of one that was closed for good.", "connection",
			func(b *Bridge, say say) {
				for name, c := range b.conns() {
					say(float64(c.Remade()), name)
				}
			}},
		{gauge, "nats_subscriptions_missing", "Subscriptions that NATS does not let the bridge have, or that are not made yet.", "connection",
			func(b *Bridge, say say) {
				for name, c := range b.conns() {
					stand, all := c.Standing()
					say(float64(all-stand), name)
				}
			}},
		{counter, "log_lines_lost_total", "Log lines that could not be written.", "", func(b *Bridge, say say) {
			if b.deps.LogLost != nil {
				say(float64(b.deps.LogLost()))
			}
		}},
		{gauge, "delivery", "1 for the way in which events are delivered.", "way", func(b *Bridge, say say) {
			mode := b.publisher.Mode()
			for _, each := range delivery.Modes {
				say(one(each == mode), each)
			}
		}},
		{gauge, "stream_state", "1 for the state that the stream is in.", "stream state", func(b *Bridge, say say) {
			for _, s := range b.streams.States() {
				for state := range streams.NumStates {
					say(one(s.State == state.String()), s.Name, state.String())
				}
			}
		}},
		{gauge, "audit_queue_bytes", "Bytes of audit records that wait to be stored.", "",
			single(func(b *Bridge) int { _, bytes := b.records.Left(); return bytes })},
		{counter, "audit_records_total", "Audit records stored, or published without JetStream.", "",
			single(func(b *Bridge) uint64 { stored, _ := b.audit.Counts(); return stored })},
		{counter, "audit_records_lost_total", "Audit records lost.", "",
			single(func(b *Bridge) uint64 { _, lost := b.audit.Counts(); return lost })},
		{counter, "replies_denied_total", "Replies that NATS did not let the bridge publish.", "",
			single(func(b *Bridge) uint64 { return b.replier.Denied() })},
	}
}

// conns are the connections to NATS by their names.
func (b *Bridge) conns() map[string]*natsconn.Conn {
	return map[string]*natsconn.Conn{"events": b.events, "control": b.control}
}

// endpointMetrics are those of one endpoint.
func endpointMetrics() []metric[*actions.Endpoint] {
	return []metric[*actions.Endpoint]{
		{gauge, "requests_held_bytes", "Bytes of requests that have not ended.", "",
			single(func(e *actions.Endpoint) int64 { bytes, _ := e.Held(); return bytes })},
		{counter, "requests_busy_total", "Requests refused because those that have not ended hold too many bytes.", "",
			rare(func(e *actions.Endpoint) uint64 { _, refused := e.Held(); return refused })},
		{counter, "requests_dropped_total", "Requests that were dropped unread because too many waited.", "", rare((*actions.Endpoint).Dropped)},
		{counter, "ha_actions_asked_total", "Actions that another bridge was asked for, for it leads the server.", "",
			rare(func(e *actions.Endpoint) uint64 { n, _ := e.Asked(); return n })},
		{counter, "ha_actions_ended_total", "Actions that another bridge was asked for, by what became of them.", "result",
			func(e *actions.Endpoint, say say) { _, ended := e.Asked(); counts(ended, say.once()) }},
	}
}

// serverMetrics are those of one server.
func serverMetrics() []metric[*counted] {
	all := eventMetrics()
	all = append(all, sessionMetrics()...)
	all = append(all, stateMetrics()...)
	all = append(all, sharedMetrics()...)
	all = append(all, floorMetrics()...)
	return append(all, actionMetrics()...)
}

func eventMetrics() []metric[*counted] {
	return []metric[*counted]{
		{counter, "events_received_total", "Events read from Asterisk.", "", single(func(c *counted) uint64 { return c.box.Received })},
		{counter, "events_published_total", "Events that NATS has taken.", "", single(func(c *counted) uint64 { return c.box.Published })},
		{counter, "events_filtered_total", "Events that the filters do not want.", "", rare(func(c *counted) uint64 { return c.box.Filtered })},
		{counter, "events_released_total", "Events that a standby gave up, for the leader has them.", "", rare(func(c *counted) uint64 { return c.box.Released })},
		{counter, "events_resent_total", "Events that were sent once more, each time.", "", rare(func(c *counted) uint64 { return c.box.Resent })},
		{gauge, "events_doubled", "1 while another bridge, with which this one does not share the server, publishes its events too.", "",
			rare(func(c *counted) float64 { return one(c.doubled) })},
		{counter, "events_dropped_total", "Events lost.", "reason", func(c *counted, say say) { counts(c.box.Dropped, say.once()) }},
		{counter, "gaps_total", "Gap events put into the stream.", "reason", func(c *counted, say say) { counts(c.status.Gaps(), say.once()) }},
		{gauge, "outbox_events", "Events that wait in the outbox.", "", single(func(c *counted) uint64 { return c.box.Queued })},
		{gauge, "outbox_in_flight_events", "Events that were sent and not acknowledged.", "", single(func(c *counted) uint64 { return c.box.InFlight })},
		{gauge, "outbox_bytes", "Bytes in the outbox.", "", single(func(c *counted) int64 { return c.box.Bytes })},
		{gauge, "outbox_capacity_bytes", "The most bytes that the outbox may hold.", "", single(func(c *counted) int64 { return int64(c.cfg.OutboxBytes) })},
		{gauge, "outbox_high_water_bytes", "The most bytes that the outbox has held.", "", single(func(c *counted) int64 { return c.box.HighWater })},
		{counter, "frames_corrupt_total", "Frames that are neither Event nor Response.", "",
			rare(func(c *counted) uint64 { corrupt, _ := c.ingest.Odd(); return corrupt })},
		{counter, "characters_replaced_total", "Bytes of events that are no text in the charset.", "",
			rare(func(c *counted) uint64 { _, replaced := c.ingest.Odd(); return replaced + c.link.Calls.Replaced })},
	}
}

func sessionMetrics() []metric[*counted] {
	return []metric[*counted]{
		{gauge, "ami_session_up", "Whether the session is logged in.", "role", func(c *counted, say say) {
			for _, session := range c.link.Sessions {
				if c.rests() {
					continue // others are to be logged in
				}
				say(one(session.State == amiconn.StateUp), session.Name)
			}
		}},
		{counter, "session_failures_total", "Sessions that were lost or never came up.", "reason", func(c *counted, say say) { counts(c.link.Failed, say.once()) }},
		{gauge, "breaker_state", "1 for the state that the server's breaker is in; 0 for closed where it is not.", "state", func(c *counted, say say) {
			say(one(c.link.Breaker.State == amiconn.BreakerClosed), string(amiconn.BreakerClosed))
			if state := c.link.Breaker.State; state != amiconn.BreakerClosed {
				say(1, string(state))
			}
		}},
		{counter, "breaker_transitions_total", "Changes of the breaker, by the state they led to.", "to",
			func(c *counted, say say) { counts(c.link.Breaker.Transitions, say.once()) }},
		{counter, "handler_panics_total", "Panics while a frame was handled; each lost one frame.", "", rare(func(c *counted) uint64 { return c.link.Panics })},
	}
}

func stateMetrics() []metric[*counted] {
	return []metric[*counted]{
		{gauge, "state_leads", "Whether this bridge writes the server's state.", "", func(c *counted, say say) {
			if c.state != nil {
				say(one(c.up.Leads))
			}
		}},
		{gauge, "state_objects", "What is up at the server, by kind.", "kind", func(c *counted, say say) {
			for k, n := range c.up.Objects {
				say.once()(float64(n), present.Kind(k).String())
			}
		}},
		{counter, "state_corrections_total", "What lists had to correct while the state was live, by what they made of it.", "kind change", func(c *counted, say say) {
			for k, by := range c.up.Corrections {
				for change, n := range by {
					say.once()(float64(n), present.Kind(k).String(), present.Correction(change).String())
				}
			}
		}},
		{counter, "state_full_total", "What did not fit into the state, by kind.", "kind", func(c *counted, say say) {
			for k, n := range c.up.Refused {
				say.once()(float64(n), present.Kind(k).String())
			}
		}},
		{counter, "state_writes_total", "Writes of the state, by what became of them.", "result", func(c *counted, say say) {
			say.once()(float64(c.up.Writes), "stored")
			say.once()(float64(c.up.WritesRefused), "refused")
		}},
		{counter, "state_lists_total", "Lists asked for to bring the state right.", "", rare(func(c *counted) uint64 { return c.up.Lists })},
		{counter, "state_lists_failed_total", "Those that did not come, or not whole.", "", rare(func(c *counted) uint64 { return c.up.ListsFailed })},
		{gauge, "state_sync_seconds", "How long the last round of lists took.", "", rare(func(c *counted) float64 { return c.up.Sync.Seconds() })},
	}
}

// sharedMetrics are those of a server that several bridges share. Of another there are none.
func sharedMetrics() []metric[*counted] {
	return []metric[*counted]{
		{gauge, "ha_leads", "Whether this bridge leads the server.", "", func(c *counted, say say) {
			if c.standing != nil {
				say(one(c.leads()))
			}
		}},
		{gauge, "ha_term", "The highest term of the server that this bridge knows.", "", func(c *counted, say say) {
			if c.standing != nil {
				say(float64(c.standing.Term))
			}
		}},
		{counter, "ha_takeovers_total", "How often this bridge began to lead the server.", "reason", func(c *counted, say say) {
			if c.shared != nil {
				counts(c.shared.TakeOvers(), say)
			}
		}},
		{gauge, "ha_standbys", "Other bridges that stand by for a server which this bridge leads, by how they stand.", "state", func(c *counted, say say) {
			if c.standing == nil || !c.leads() {
				return
			}
			var n [standby.NumStates]int
			for _, b := range c.standing.Standbys {
				n[b.State]++
			}
			if !c.shared.IsCopied() {
				say = say.once() // that nobody stands by is as it should be
			}
			for state := range standby.NumStates {
				say(float64(n[state]), state.String())
			}
		}},
		{gauge, "ha_standby_state", "1 for how this bridge stands by for a server that it does not lead.", "state", ofStandby(func(own standby.Standby, say say) {
			for state := range standby.NumStates {
				say(one(state == own.State), state.String())
			}
		})},
		{gauge, "ha_standby_lag_events", "Events that the leader has stored and this standby has not found in its own session.", "", ofStandby(func(own standby.Standby, say say) {
			if own.Knows() {
				say(float64(own.Lag))
			}
		})},
		{gauge, "ha_standby_lag_seconds", "For how long the leader has stored an event that this standby has not found in its own session.", "", ofStandby(func(own standby.Standby, say say) {
			if own.KnowsFor() {
				say(own.LagFor.Seconds())
			}
		})},
		{gauge, "ha_standby_reason", "1 for why this standby is not in sync, once it says.", "state reason", ofStandby(func(own standby.Standby, say say) {
			if own.Reason != "" {
				say(1, own.State.String(), string(own.Reason))
			}
		})},
	}
}

// ofStandby observes how this bridge stands by for a server that it does not lead.
func ofStandby(observe func(own standby.Standby, say say)) func(*counted, say) {
	return func(c *counted, say say) {
		if c.standing != nil && !c.leads() {
			observe(c.shared.Own(), say)
		}
	}
}

// leads reports whether this bridge leads the server, as others are told.
func (c *counted) leads() bool { return c.standing.Leader == c.node }

func actionMetrics() []metric[*counted] {
	return []metric[*counted]{
		{counter, "actions_total", "Actions asked for, by outcome.", "result", func(c *counted, say say) { counts(c.target.Ends(), say.once()) }},
		{gauge, "actions_pending", "Actions that wait for their end or their reply.", "",
			single(func(c *counted) int { return c.link.Calls.Pending + c.link.Calls.Held })},
		{gauge, "actions_pending_limit", "The most Actions that may be pending.", "", single(func(c *counted) int { return c.cfg.MaxPending })},
		{gauge, "write_buffer_bytes", "Bytes of Actions that wait to be written.", "", single(func(c *counted) int { return c.link.WriteBytes })},
		{gauge, "write_buffer_capacity_bytes", "The most bytes of Actions that may wait to be written.", "",
			single(func(c *counted) int64 { return int64(c.cfg.WriteCapacity()) })},
		{counter, "actions_busy_total", "Actions refused because a buffer was full.", "buffer", func(c *counted, say say) {
			say.once()(float64(c.link.WriteRefused), "write_buffer")
			say.once()(float64(c.link.CallsRefused), "pending_actions")
		}},
		{counter, "stream_parts_total", "Parts of streamed replies, by what became of them.", "result", func(c *counted, say say) {
			parts := c.target.Parts()
			say.once()(float64(parts.Published.Load()), "published")
			say.once()(float64(parts.Unheard.Load()), "unheard")
			say.once()(float64(parts.Lost.Load()), "lost")
		}},
		{counter, "responses_late_total", "Frames for Actions that had ended.", "", rare(func(c *counted) uint64 { return c.link.Calls.Late })},
		{counter, "responses_stray_total", "Events behind a Response that had announced none; counted as late too.", "",
			rare(func(c *counted) uint64 { return c.link.Calls.Strays })},
		{counter, "responses_repeated_total", "Further Responses of Actions that are known to send more than one.", "",
			rare(func(c *counted) uint64 { return c.link.Calls.Repeated })},
		{counter, "responses_unmatched_total", "Responses to nothing that was asked.", "", rare(func(c *counted) uint64 { return c.link.Calls.Unmatched })},
	}
}
