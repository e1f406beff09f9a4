// Package state keeps what is up at each server in the bucket AMI_STATE. The reducer is
// bridge/present; this is what drives it and what writes it. docs/state.md is its page.
//
// A [Server] hears its server's events and sessions, by hooks that never wait, and asks
// for the lists that are due, one at a time, on the action session: past the policy and
// the audit, which are for what others ask. It holds its server's key, by
// compare-and-swap: whoever does so writes the server's state, and nobody else.
// The writer takes from all servers in turn what has changed, and tells each
// what the bucket has taken. It has a bounded number of messages under way; all else
// waits as what it is, an object, so that NATS away costs no memory.
//
// [State.Run] starts and joins a goroutine that drives all servers, one that writes, and one for
// each server of which the bucket is asked something, while that lasts.
// Acknowledgements are heard on the connection's. What crosses the seam: hooks and
// Actions' names in, figures and how things stand out; [Link] asks for lists, and a
// [Leader] says which servers are this bridge's to write.
package state
