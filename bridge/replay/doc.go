// Package replay reads the bridge's streams back: events of a time range, one
// call among them, the audit's records, and the audit's hash chain.
//
// It reads by direct gets in batches, and makes no consumer: so it leaves
// nothing behind on the server, and needs no right but to read. Whoever may make
// consumers may have the server publish where they like in the stream's account.
//
// It prints nothing and changes nothing. It starts no goroutine: a [Source] reads on the
// goroutine of its caller, and belongs to one at a time.
package replay
