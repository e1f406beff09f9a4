// Package streams keeps the streams as they are configured: it makes, changes or
// checks them, looks at them again and again, and knows how each stands, from what it
// sees and from what those who publish into them report. A change that could lose what
// is stored is reported and never made. docs/streams.md and docs/stream-states.md are its pages.
//
// It publishes nothing and stores nothing. Reconciler.Run is its goroutine, the only
// one that asks JetStream; the other methods do not wait.
package streams
