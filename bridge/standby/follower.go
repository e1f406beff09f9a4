package standby

import (
	"cmp"
	"strings"
	"time"
)

// State is how a standby stands to the leader.
type State uint8

const (
	Joining State = iota // looks for the leader's place in its own session
	InSync               // could take over without a Gap
	Apart                // cannot follow; Reason says why

	NumStates // how many there are
)

func (s State) String() string { return [...]string{"joining", "in_sync", "apart"}[s] }

// Reason is why a standby is apart.
type Reason string

const (
	Differs  Reason = "differs"  // the two sessions' events do not
	Behind   Reason = "behind"   // this session has not read what the leader has stored
	Overflow Reason = "overflow" // events were given up that the leader has not stored
	Filters  Reason = "filters"  // the two bridges let different events through
)

const (
	// Patience is how long a leader's number may move without a cut until a standby
	// is apart.
	Patience = 5 * time.Second
	// maxMarks bounds the Marks that are ahead of the session. When full, newer ones
	// are ignored: the session comes to the older ones first.
	maxMarks = 32
)

// Follower aligns a standby's session with what the leader stores. It knows the hashes
// of the last events of the session; the outbox holds the last Held of them.
type Follower struct {
	sums sums
	held uint64 // of the last positions, those whose events are held

	term    uint64 // of the leader that is followed
	epoch   string
	highest uint64 // the highest N of it

	aligned bool   // event n of the epoch is at position n + shift, if the order is the same
	shift   uint64 // modulo 2^64
	diff    uint64 // own sum less the leader's, modulo 2^64
	proof   proof  // of it, until it is believed
	bounds  bounds // where it lies
	lacks   int    // Pongs in a row before which less was read than was stored
	awaited awaited
	probe   probe
	synced  bool      // it is
	cutN    uint64    // up to this event of the epoch all is stored, if synced
	cutAt   time.Time // when the Mark of it was heard
	behind  time.Time // when the first Mark behind it was heard, if there is one
	next    time.Time // likewise, of those that were compared last

	marks   []timedMark // ahead of the session, or not found yet; in order
	misses  int         // Marks since the last cut that the session came to and did not fit
	since   time.Time   // when the leader's number moved on from the last cut; or zero
	reason  Reason
	stuck   stuck
	silent  bool // see Claim
	filters uint64
	owed    owed
}

// timedMark is a Mark, and when it was heard.
type timedMark struct {
	Mark
	at time.Time
}

// NewFollower returns a Follower of a session that has just begun. It knows at least the
// last most events, which must be as many as the outbox can hold: at 8 bytes each.
func NewFollower(most int) *Follower {
	return &Follower{sums: newSums(0, 0, max(most, JoinSpan)+2*Window+1), marks: make([]timedMark, 0, maxMarks)}
}

// Read takes in the next event of the session, and reports whether it is to be held, and
// not stored already: see Ledger.Read. FullyBooted and what answers an Action of this
// session is none: the other session does not have it.
func (f *Follower) Read(hash uint64) (hold bool) {
	if f.owed.drop(hash) {
		return false
	}
	f.push(hash)
	return true
}

func (f *Follower) push(hash uint64) {
	f.sums.push(hash)
	f.held++
}

// Held returns how many events are held.
func (f *Follower) Held() int { return int(f.held) }

// Forget takes in that the oldest n of those that are held were given up.
func (f *Follower) Forget(n int) { f.held -= min(uint64(n), f.held) }

// Lag returns how many events the leader has stored behind the last cut.
func (f *Follower) Lag() uint64 {
	if f.synced && f.highest > f.cutN {
		return f.highest - f.cutN
	}
	return 0
}

// Behind returns since when the leader is known to have stored more than was found in this
// session. It is zero where the Lag is.
func (f *Follower) Behind() time.Time {
	if f.Lag() == 0 {
		return time.Time{}
	}
	return f.behind
}

// State returns how the standby stands, and why if it is apart, or is joining for long.
func (f *Follower) State() (State, Reason) {
	switch {
	case f.reason != "":
		return Apart, f.reason
	case !f.synced:
		return Joining, f.stuck.reason
	case !f.covered():
		return Apart, Overflow
	}
	return InSync, ""
}

// cut returns the position up to which all is stored, if it is in sync.
func (f *Follower) cut() uint64 { return f.cutN + f.shift }

// CutAt returns when the Mark was heard up to which all is stored: what is stored behind
// it was stored a moment before that at the earliest. It is zero if it is not in sync.
func (f *Follower) CutAt() time.Time {
	if !f.synced {
		return time.Time{}
	}
	return f.cutAt
}

// Term returns the term of the leader that is followed.
func (f *Follower) Term() uint64 { return f.term }

// covered reports whether all behind the cut is held.
func (f *Follower) covered() bool {
	return f.sums.has(f.cut()) && f.sums.last-f.held <= f.cut()
}

// Restart takes up the bridge's next session: nothing of it is held yet.
func (f *Follower) Restart() {
	f.sums = newSums(0, 0, int(f.sums.most))
	f.held, f.owed = 0, owed{}
	f.lose("")
}

// Filter says what the hash is of all that decides which events count here. A leader
// whose Marks have another is not followed.
func (f *Follower) Filter(hash uint64) { f.filters = hash }

// Claim takes in that this bridge's own claim of the term is stored. From here on Marks
// of it and of older terms are ignored: one that a dead leader left on its way must not
// move the cut that the Tail is read behind. A claim behind which another has claimed, and leads,
// is nothing by then: to ignore that one's Marks would leave this bridge joining for ever.
func (f *Follower) Claim(term uint64) {
	if term >= f.term {
		f.term, f.silent = term, true
	}
}

// Observe takes in a Mark. It returns how many of the oldest that are held are stored,
// which the outbox then releases; the Follower takes them for released.
func (f *Follower) Observe(m Mark, now time.Time) (release int) {
	switch {
	case m.Term < f.term, m.Term == f.term && f.silent:
		return 0
	case m.Epoch != f.epoch:
		f.epoch, f.highest = strings.Clone(m.Epoch), 0
		f.lose("")
	}
	m.Epoch = f.epoch // the other is a part of a message, which a Mark that is kept would keep
	f.term, f.silent = m.Term, false
	if m.Filters != f.filters {
		f.lose(Filters)
		return 0
	}
	if f.reason == Filters {
		f.reason = ""
	}
	if f.synced || !f.awaited.waits {
		f.awaited = awaited{m.N, now, true}
	}
	if m.N < f.highest { // no leader goes back: what was heard was not its own
		f.highest, f.marks, f.since, f.behind = m.N, f.marks[:0], time.Time{}, time.Time{}
	}
	if m.N > f.highest {
		f.highest = m.N
		if len(f.marks) < maxMarks {
			f.marks = append(f.marks, timedMark{m, now})
		}
		if f.since.IsZero() {
			f.since = now
		}
		if f.behind.IsZero() {
			f.behind = now
		}
	}
	fitted, cut := false, timedMark{}
	if !f.synced {
		fitted, cut = f.join(timedMark{m, now})
	}
	if ok, last := f.compareMarks(); ok {
		fitted, cut = true, last
	}
	f.watch(now)
	switch {
	case f.aligned && !f.synced && f.proof.fails():
		f.giveUp()
		return 0
	case fitted && f.highest == cut.N:
		f.since = time.Time{}
	case fitted:
		f.since = now
	case !f.since.IsZero() && now.Sub(f.since) > Patience:
		f.despair()
	}
	if !fitted {
		return 0
	}
	return f.fits(cut, now)
}

// compareMarks compares the Marks that the session has come to. It returns the newest that
// fits.
func (f *Follower) compareMarks() (fitted bool, cut timedMark) {
	f.next = time.Time{}
	if !f.aligned {
		return false, timedMark{}
	}
	done := 0
	for _, m := range f.marks {
		p := m.N + f.shift
		if int64(p-f.sums.last) > 0 {
			break
		}
		done++
		if !f.synced {
			f.proof.add(m.Mark, p)
		}
		if f.sums.has(p) && *f.sums.at(p)-m.Sum == f.diff {
			fitted, cut = true, m
			f.misses, f.next = 0, time.Time{}
			f.proof.count++
		} else {
			f.misses++
			f.proof.misses++
			f.next = cmp.Or(f.next, m.at)
		}
	}
	f.marks = append(f.marks[:0], f.marks[done:]...)
	if f.next.IsZero() && len(f.marks) > 0 {
		f.next = f.marks[0].at
	}
	return fitted, cut
}

// fits takes in a Mark that fits, and returns what is to be released.
func (f *Follower) fits(m timedMark, now time.Time) (release int) {
	if !f.synced {
		if !f.proven(m.N, now) {
			return 0
		}
		f.forgetBounds()
	}
	f.synced, f.reason, f.proof, f.stuck = true, "", proof{}, stuck{}
	f.cutN, f.cutAt, f.behind = m.N, m.at, time.Time{}
	if f.highest > m.N {
		f.behind = cmp.Or(f.next, now)
	}
	if oldest := f.sums.last - f.held; f.cut() > oldest {
		release = int(f.cut() - oldest)
		f.held -= uint64(release)
	}
	f.sums.forget(f.cut())
	return release
}

// despair gives up a place that Marks did not fit for too long. Where they are all ahead
// of the session they may fit still.
func (f *Follower) despair() {
	switch {
	case f.aligned && !f.synced:
		f.giveUp()
	case f.synced && f.misses > 0:
		f.lose(Differs)
	case f.synced:
		f.reason = Behind
	}
}

// lose gives up the place, and what speaks for any. The leader is looked for anew.
func (f *Follower) lose(why Reason) {
	f.giveUp()
	f.reason, f.stuck = why, stuck{}
	f.forgetBounds()
}

// giveUp gives up the place. The leader is looked for anew, where it may be as far as is
// known.
func (f *Follower) giveUp() {
	f.aligned, f.synced, f.misses = false, false, 0
	f.since = time.Time{}
	f.marks = f.marks[:0]
}
