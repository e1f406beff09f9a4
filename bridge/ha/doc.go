// Package ha has several bridges share the servers: it says what this bridge does and hears
// what the others do (ami.ha.<node>), and of each server whether this one reads it and
// whether it leads it. It
// drives package standby, which decides, and does what that says: terms and fences in the
// stream of events, the end of the batches of who led before, reading what the stream
// holds.
//
// It publishes no event and holds none. The seams were chosen so that an event's way stays
// what it is without it:
//
//	outbox    has the Follower of a standby or the Ledger of a leader beside the events, for
//	          they change together, under one lock: it holds while it stands by, and numbers
//	          what is sent while it leads (outbox.Share)
//	delivery  asks a [delivery.Lead] for the fence of each event, and knows nothing else of
//	          who leads; that an event was refused for it comes back the same way
//	Server    is all that this package asks of the two and of the Link
//
// A bridge that is heard, and yet cannot do what a leader does, says so (unable.go).
//
// Its goroutines are one that has everything of its own ([Node.Run]), and a few that ask the
// stream for it, so that a question to one that does not answer holds up no heartbeat. The
// hooks that others call only note and wake, and never wait: Fence and Refused are called
// by the publisher, Session and Pong on the Link's, Stored and Drained with an outbox's lock
// held.
package ha
