package ha

import (
	"sync/atomic"
	"time"
)

// lease is for how long this bridge may take itself for the leader of what it leads. Others
// claim when they have not heard it for a silence; and they have heard what comes back to
// this bridge from NATS by the way that all of them hear it. So it lasts for a silence from
// the moment on when the newest of its Heartbeats that came back was sent: neither who was
// frozen, nor whose connection takes nothing without an error, goes on by what it knew
// before. When it had run out it begins again a silence later: a claim would be heard by
// then.
//
// Two things it cannot know: that NATS itself is split, and that this process stops between
// the look and what it does then.
type lease struct {
	silence time.Duration
	began   time.Time // what the others count from, in nanoseconds

	until atomic.Int64 // it has run out then; 0: it has not begun
	sure  atomic.Int64 // before that another may have claimed unheard

	// of the Node's goroutine
	sent [maxUnheard]time.Time // when, by the numbers of Heartbeats
	last uint64                // the newest that came back
	seq  uint64                // the newest that was sent
}

// maxUnheard bounds the Heartbeats that have not come back: what is older says nothing.
const maxUnheard = 64

func newLease(silence time.Duration, now time.Time) *lease {
	return &lease{silence: silence, began: now}
}

// beats notes that the Heartbeat of that number is sent.
func (l *lease) beats(seq uint64, now time.Time) { l.seq, l.sent[seq%maxUnheard] = seq, now }

// sentAt returns when the Heartbeat of that number was sent, zero if that is not known any more.
func (l *lease) sentAt(seq uint64) time.Time {
	if seq > l.seq || seq+maxUnheard <= l.seq {
		return time.Time{}
	}
	return l.sent[seq%maxUnheard]
}

// returned notes that the Heartbeat of that number came back. Others claim after the silence, be it
// shorter than this bridge's own.
func (l *lease) returned(seq uint64, silence time.Duration, now time.Time) {
	sent := l.sentAt(seq)
	if seq <= l.last || sent.IsZero() {
		return
	}
	l.last = seq
	l.lapse(now)
	l.until.Store(int64(sent.Add(silence).Sub(l.began)))
}

// lapse has it be unsure for a silence if it has run out.
func (l *lease) lapse(now time.Time) {
	if until := l.until.Load(); until != 0 && int64(now.Sub(l.began)) >= until {
		l.doubt(now)
	}
}

// doubt has it be unsure for a silence.
func (l *lease) doubt(now time.Time) { l.sure.Store(int64(now.Add(l.silence).Sub(l.began))) }

// doubts reports whether another may have claimed unheard.
func (l *lease) doubts(now time.Time) bool { return int64(now.Sub(l.began)) < l.sure.Load() }

// holds reports whether nobody can have claimed what this bridge leads. It may be called
// from any goroutine.
func (l *lease) holds(now time.Time) bool {
	return int64(now.Sub(l.began)) < l.until.Load() && !l.doubts(now)
}
