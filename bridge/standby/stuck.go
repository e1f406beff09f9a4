package standby

import "time"

// Why a standby is joining still.
const (
	Unheard Reason = "unheard"   // the leader's Heartbeats do not come
	Few     Reason = "few"       // fewer events than it takes, and the leader's version does not say how far it has read
	Alike   Reason = "alike"     // the leader's last events fit at several places, and follow each other too fast to tell
	Unfound Reason = "not_found" // the leader's last events are not in its own session
	NoEvent Reason = "no_events" // its own session brings none, and the leader stores some
)

// JoinPatience is how long a standby hears a leader and does not find it until it says why.
const JoinPatience = time.Minute

// stuck is why a standby does not find the leader.
type stuck struct {
	since  time.Time // when it began to look
	n      uint64    // what the leader had stored then
	read   uint64    // and it had read
	found  Reason    // what the last look came to
	reason Reason    // told
}

// watch notes for how long the leader is looked for.
func (f *Follower) watch(now time.Time) {
	s := &f.stuck
	switch {
	case f.synced:
		return
	case s.since.IsZero():
		s.since, s.n, s.read = now, f.highest, f.sums.last
	case now.Sub(s.since) < JoinPatience:
	case f.sums.last == s.read && f.highest > s.n:
		s.reason = NoEvent
	case s.found == Behind: // it knows the place, and has not read that far
		s.reason = Behind
	default:
		s.reason = s.found
	}
}
