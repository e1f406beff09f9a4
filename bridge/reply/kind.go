package reply

// Kind is why a request has no good answer, in the word that callers, the audit, the
// metrics and the statistics have for it. A reply of another bridge, of a newer
// version, may have one that is not among Kinds.
type Kind string

// The kinds of Error. docs/actions.md says of each what a caller can do about it.
const (
	KindAsteriskError          Kind = "asterisk_error"
	KindTimeout                Kind = "timeout"
	KindConnectionLost         Kind = "connection_lost"
	KindTooLarge               Kind = "reply_too_large"
	KindNotConnected           Kind = "not_connected"
	KindBreakerOpen            Kind = "breaker_open"
	KindBusy                   Kind = "busy"
	KindForbidden              Kind = "forbidden"
	KindBadRequest             Kind = "bad_request"
	KindShuttingDown           Kind = "shutting_down"
	KindAuditUnavailable       Kind = "audit_unavailable"
	KindIdempotencyUnavailable Kind = "idempotency_unavailable"
	KindInternal               Kind = "internal" // a panic
	KindNoInbox                Kind = "no_inbox" // nobody may be told of it
)

// Kinds are all of them.
var Kinds = [...]Kind{
	KindAsteriskError, KindTimeout, KindConnectionLost, KindTooLarge, KindNotConnected, KindBreakerOpen, KindBusy,
	KindForbidden, KindBadRequest, KindShuttingDown, KindAuditUnavailable, KindIdempotencyUnavailable, KindInternal,
	KindNoInbox,
}
