// Package delivery publishes the events that wait in the outboxes, in turn, and keeps
// each until NATS says that it has it. ack.go has the three ways in which that is said,
// window.go what is in flight, retry.go what is sent again, resume.go and held.go what
// the stream is asked before that, lastevent.go what it held before this process.
// docs/delivery.md is its page.
//
// It makes no event and no stream, and drops nothing: what does not fit is the outbox's
// to drop. Publisher.Run is its one goroutine; acknowledgements come on those of NATS,
// and take the window's lock only.
package delivery
