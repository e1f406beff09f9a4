// Package standby decides how two or more bridges share the Asterisks: which of them
// leads a server, and which of the events that a standby holds are stored already when
// it takes over, so that each is stored once, in order, under a numbering without a hole.
//
// An event is known by its Hash alone. Sessions of one Asterisk see the same events; up to
// 22.10 in the same order, from 22.11 on in the same order within a thread. So the sum of
// the hashes says whether two sessions have come as far, whatever the order:
//
//	Ledger     the leader's: numbers what it sends, sums what is stored, makes the Mark,
//	           and knows what is stored of the session that is not read yet
//	Follower   a standby's: finds where the Marks lie in its own session (join), gives up
//	           what they cover (cut), and at a take-over what the stream's Tail holds
//	Roster     who was heard: candidates, ranking, who claims in which turn, which to move
//	Leading    one server's term: from silence to a claim, a fence, a yield
//	Unable     what a bridge cannot do of what a leader does: it yields to who can
//	Heartbeat, Term, ID   what crosses NATS: bounded, versioned, unknown fields ignored
//
// What holds in the stream, and what its readers may rely on: the events of an epoch are
// numbered 1, 2, 3 without a hole; a Gap, numbered 0, begins each epoch but a server's
// first. So whoever leads and drops an event begins an epoch (Ledger.Begin).
//
// It is not the driver: it has no network, no goroutine, no lock, no clock and no chance.
// Its callers give it times and tokens and do what it decides. No type is safe for
// concurrent use. What crosses the seam are hashes and positions, never payloads: those lie
// in the outbox, whose held events are the Follower's last ones in the same order.
//
// A place is believed after some 130 events and ten seconds, or, be events alike or none,
// when what was read when leaves no other (bounds.go). Equal events of different threads are
// one to it: where sessions differ in order, a take-over may leave such a pair in an order
// that neither session had. None is lost or stored twice by it.
package standby
