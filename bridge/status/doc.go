// Package status publishes how the bridge is doing: each change of a session or a
// breaker, what the buffers hold, the Gaps, and all of it once more at an interval.
//
// It decides nothing and repairs nothing: whoever logs in, sends or drops reports it
// here. It keeps the last message of each kind, and no history: the
// stream AMI_STATUS does, for late subscribers.
//
// A [Publisher] owns one goroutine, the status goroutine, which publishes what it is
// handed and calls the functions given to [Publisher.Run]. A [Server] is the half of
// a server that this package sees; its hooks run on the Link's goroutines and never
// wait.
//
// What crosses the seam: [amiconn.Change], [amiconn.BreakerChange] and [outbox.Gap]
// come in by hooks, [amiconn.Status] and [outbox.Account] are read at an interval, and
// JSON as docs/schemas describes it goes out.
package status
