// Package tap hands the events of one server to those who look at them, as they come.
//
// A [Tap] stands beside the outbox, on the goroutine that reads the events. While nobody
// looks, an event costs it a look at one number. While somebody does, it is copied once,
// however many look, into memory that does not grow: what does not fit until it is taken is
// counted and not there. So nothing here waits, and nothing is kept for long.
//
// It starts no goroutine. All may be called from any, but for Take.
package tap
