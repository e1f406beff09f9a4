// Package audit records each request for an Action and what became of it, for the
// stream AMI_AUDIT: who asked, for what, whether it was allowed, and how it ended.
//
// It decides nothing about a request: package policy does. It stores nothing itself:
// a journal does. Of what a record holds it takes the secrets out, bounds every text,
// and links the records of each server by their hashes, so that one that is changed
// or missing shows. It does so when the journal asks for the record, on that goroutine.
//
// A [Recorder] is safe for concurrent use, and its methods do not wait, but for
// [Recorder.Seen], which asks NATS. Its one goroutine, [Recorder.Run], writes a
// record of the refusals that were too many for a record each.
//
// What crosses the seam: a [Request] with what [Recorder.Record] has kept of its
// message, a [correlation.Result] and a [reply.Error] come in; what goes out is
// [journal.Entry], by a [Queue].
package audit
