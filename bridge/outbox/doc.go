// Package outbox holds one server's events from when they were read until NATS has
// acknowledged them: in order, within a bound of its own and one that all servers
// share. What does not fit is dropped, the oldest first, and a Gap takes its place,
// so that no loss is silent and the books balance at any moment:
//
//	received = published + dropped + filtered + queued + in flight + released
//
// Where several bridges share a server (share.go) it holds for a standby, and releases
// what the leader has stored; for the leader it numbers what is sent.
//
// It starts no goroutine and never waits. A reader pushes; one publisher takes, and
// acknowledges or rewinds. It knows nothing of NATS.
package outbox
