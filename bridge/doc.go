// Package bridge joins Asterisk and NATS: events become messages, requests
// become Actions, and the bridge's own state is published beside them.
//
// The way of an event: Session reader -> events.go (JSON) -> outbox, one a
// server -> fairness.Scheduler -> publisher -> NATS -> acknowledgement -> the
// outbox releases it. The way of an Action: endpoint -> request.go
// (checks) -> amiconn.Link -> correlation.Table -> replies.go -> NATS.
//
// Two connections to NATS: the publisher has one of its own, because one
// Publish can block for seconds while a server is frozen; Actions and status
// share the other. Nothing that an AMI reader calls touches either.
//
//	goroutines                started and joined by
//	one Link a server         Bridge.Run
//	two connections           Bridge.Run
//	publisher                 Bridge.Run
//	replier, journals         Bridge.Run
//	count of refusals         Bridge.Run
//	streams                   Bridge.Run
//	status, http              Bridge.Run
//
// Shutdown goes against the stream: no new Actions, pending ones end, sessions
// log off, outboxes drain, the audit is stored, NATS drains.
package bridge
