// Package clock has the bridge's rules of time. A duration is measured by the
// monotonic clock; the wall clock is written into messages and decides nothing. A Sum
// says when the log reports a count that grows.
//
// It sets no timer and starts no goroutine. Its functions may be called from any; a
// Sum and Stamps belong to one.
package clock
