// Package ingest takes the events of one server from the reader of its event
// session to its outbox: it filters, encodes, numbers and copies, and says by a Gap
// what is missing. It is the first stop of an event behind package amiconn.
//
// It publishes nothing, knows no NATS and keeps no event: package outbox does. It
// starts no goroutine. A [Source] runs on the reader of the event session, which
// never waits here: a full outbox drops its oldest. A timer lets go a Gap that has
// waited for its answer long enough.
//
// What crosses the seam: [amiconn.Event], [amiconn.Change] and [amiconn.Clock] come
// in by the hooks of a Link, [outbox.Entry] and [outbox.Gap] go out, and
// [fairness.Scheduler.Ready] says that there is something to publish.
package ingest
