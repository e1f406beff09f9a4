// Package harness is what the tests of the whole bridge share: it starts a real
// nats-server, in this process or in one of its own, a simulated Asterisk and a
// bridge between them, asks for Actions, and reads back what came.
//
// A test that runs a nats-server in a process of its own is of a package whose
// TestMain calls Main.
//
// Whatever a bridge goes through in a test, it is watched: at any moment the law
// of conservation has to hold for each server, and every buffer has to keep its
// bound. A test of faults says what becomes of the events (Ticks, CheckStory), of
// the replies (Fails, Succeeds, NoMore), of the counters (Drained, Metric) and of
// the Gaps (CheckStory, Untouched); where much comes, of the heap, too.
//
// What a function starts ends with the test. A function that cannot go on ends
// the test, so it is called by the test's own goroutine. Only tests import this
// package.
package harness
