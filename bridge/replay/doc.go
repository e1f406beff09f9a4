// Package replay reads the bridge's streams back: events of a time range, one
// call among them, the audit's records, and the audit's hash chain.
//
// It reads by direct gets in batches, and makes no consumer: so it leaves
// nothing behind on the server, and needs no right but to read. Who may make
// consumers may have the server publish where they like in the stream's account.
package replay
