// Package bridge joins Asterisk and NATS: events become messages, requests become
// Actions, and the bridge's own state is published beside them.
//
// It wires its rooms and decides when each begins and ends; what they do is theirs.
//
// The way of an event: a Link's reader -> ingest.Source -> outbox.Outbox ->
// fairness.Scheduler -> delivery.Publisher -> NATS, whose acknowledgement releases it
// from the outbox. Beside it state.Server reduces the event to what is up now, and
// writes that into the bucket AMI_STATE. The way of an Action: NATS -> actions.Endpoint -> idempotency.Cache
// -> policy.Policy -> audit.Recorder -> amiconn.Link -> correlation.Table ->
// reply.Sender -> NATS.
//
// Two connections to NATS: the publisher has one of its own, because one Publish can
// block for seconds while a server is frozen; Actions and status share the other.
// Nothing that an AMI reader calls touches either.
//
//	goroutines                started and joined by
//	one Link a server         Bridge.Run
//	two connections           Bridge.Run
//	delivery.Publisher        Bridge.Run
//	reply.Sender, journals    Bridge.Run
//	audit.Recorder            Bridge.Run
//	idempotency.Cache         Bridge.Run
//	streams.Reconciler        Bridge.Run
//	state.State               Bridge.Run
//	status.Publisher, http    Bridge.Run
//
// Shutdown goes against the stream: no new Actions, pending ones end, sessions log
// off, outboxes drain, the state turns stale, the audit is stored, NATS drains.
package bridge
