// Package watch keeps one picture of this process, in the words of package view, that
// needs no NATS: what the bridge says on its status subjects is taken where it is said,
// and how all stands is asked for when somebody wants to know.
//
// Who tells (Observe) never waits: what is told goes into a bounded queue, behind a lock of
// its own. Who asks (Snapshot, Calls) does the work, at most once for all who ask within
// the same second, so that what nobody looks at costs nothing.
//
// Run is its one goroutine: it only sees to it that the past is kept while nobody asks.
package watch
