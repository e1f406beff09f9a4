package standby

import "time"

// Where the leader's events lie in another session can be told by what was read when,
// whatever they say: by events that are all alike, and by none.
//
// Say that raised is how many events of the epoch Asterisk has raised at a moment. What is
// stored, and what a session has read, was raised. And a session that has answered a Ping
// has read all that was raised when the Ping was asked: Asterisk writes it before the Pong
// (manager.c: do_message calls process_events before each get_input; from 22.11 on get_input
// does, when the session's alert pipe is ready, before it reads). So
//
//	a Mark of n is heard, then the standby asks, and has read up to p at the Pong:
//	    n <= raised <= p - shift
//	the standby says that it has read up to p, then the leader asks, and has read n at the Pong:
//	    p - shift <= raised <= n
//
// Each is equal when nothing is raised between the two ends: for some milliseconds. The two
// need not be of one moment, for the shift stays what it is while session and epoch last.

// attested is how often a bound must have been reached or passed to count. From 22.11 on
// each session of Asterisk has a queue of its own, and an event may come to one a moment
// after the other; this is so for none again and again.
const attested = confirmations + 1

// unbounded is further than any place.
const unbounded = int64(1) << 62

// bounds is between which shifts the true one lies.
type bounds struct {
	most, least attestedLeast // the least is of what is negated
}

// between returns the least shift and the greatest that the true one can have.
func (b *bounds) between() (least, most int64) { return -b.least.value(), b.most.value() }

// exact returns the true shift if it is known.
func (b *bounds) exact() (shift uint64, ok bool) {
	least, most := b.between()
	return uint64(least), least == most
}

// admits reports whether the shift, modulo 2^64, may be the true one.
func (b *bounds) admits(shift uint64) bool {
	least, most := b.between()
	return int64(shift) >= least && int64(shift) <= most
}

// around is where event n of the epoch may be.
func (b *bounds) around(n uint64) span {
	least, most := b.between()
	return span{uint64(max(0, int64(n)+least)), uint64(max(0, int64(n)+most))}
}

// contradict reports whether no shift can be the true one: the sessions differ.
func (b *bounds) contradict() bool {
	least, most := b.between()
	return least > most
}

// attestedLeast is the least value that attested of all reach or pass.
type attestedLeast struct {
	values [attested]int64 // the least ones, in order
	n      int
}

func (l *attestedLeast) add(v int64) {
	i := l.n
	if l.n < attested {
		l.n++
	} else if i--; v >= l.values[i] {
		return
	}
	for ; i > 0 && l.values[i-1] > v; i-- {
		l.values[i] = l.values[i-1]
	}
	l.values[i] = v
}

func (l *attestedLeast) value() int64 {
	if l.n < attested {
		return unbounded
	}
	return l.values[attested-1]
}

// awaited is a Mark that was heard, until a Ping is answered that was asked after that.
type awaited struct {
	n     uint64
	at    time.Time
	waits bool
}

// probe is how far the session was read when the leader was asked how far its own is; id 0:
// it is not asked.
type probe struct{ id, read uint64 }

// read is up to where all events of the session were read, but for those that it is known to
// miss still.
func (f *Follower) read() uint64 { return f.sums.last - uint64(f.owed.left) }

// Pong takes in, between two events of the session, that a Ping was answered which was asked
// then. One in sync that has not read what was stored before sees other events: where all
// are alike no sum tells that.
func (f *Follower) Pong(asked time.Time) {
	if !f.awaited.waits || !asked.After(f.awaited.at) {
		return
	}
	f.awaited.waits = false
	switch {
	case !f.synced:
		f.bounds.most.add(int64(f.sums.last - f.awaited.n))
	case f.owed.guess || int64(f.read()-f.awaited.n-f.shift) >= 0:
		f.lacks = 0
	default:
		if f.lacks++; f.lacks >= attested {
			f.lose(Differs)
		}
	}
}

// Probe returns what the leader is to be asked: the probe that it has not answered, or a new
// one of that id, which no other has had. It is 0 while the standby is in sync.
func (f *Follower) Probe(id uint64) uint64 {
	if f.synced {
		f.probe = probe{}
	} else if f.probe.id == 0 {
		f.probe = probe{id, f.read()}
	}
	return f.probe.id
}

// Answer takes in that the leader had read n events of the epoch when its session had
// answered a Ping that was asked after it had heard of the probe.
func (f *Follower) Answer(epoch string, id, n uint64) {
	if id == 0 || id != f.probe.id {
		return
	}
	if epoch == f.epoch {
		f.bounds.least.add(-int64(f.probe.read - n))
	}
	f.probe = probe{}
}

// forgetBounds gives up what is known of where the place lies.
func (f *Follower) forgetBounds() {
	f.bounds, f.awaited, f.probe, f.lacks = bounds{}, awaited{}, probe{}, 0
}
