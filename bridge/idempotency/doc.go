// Package idempotency remembers what became of requests with an Ami-Idempotency-Key,
// so that a repeat gets the outcome of the first and never reaches Asterisk: it could
// be a second phone call.
//
// It knows no Action and sends nothing: it says to a [Request] whether it is the first
// of its key, and is told how that one has ended. It refuses what it has no room for,
// and never forgets a key within its window.
//
// A [Cache] is safe for concurrent use, and its methods do not wait. Where bridges
// share their keys, by the bucket AMI_IDEMPOTENCY, nothing is sent before the bucket
// has said that the key is this bridge's; who waits for another bridge's key does so
// on a goroutine of [Cache.Run].
//
// What crosses the seam: [Key] and [Request] come in, an [Entry] is handed out and
// comes back with its reply, and what is to be written to the bucket goes out by a
// [Queue].
package idempotency
