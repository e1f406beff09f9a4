// Package journal writes messages into streams, each acknowledged, for those who may
// not wait: a record of the audit, an idempotency key. It keeps their order, tries
// again until they are stored, and refuses what its bounded queue has no room for.
// docs/design.md says what that costs.
//
// It makes no stream, and does not know what its messages mean. Journal.Run is its
// goroutine; what waits for a message is called there.
package journal
