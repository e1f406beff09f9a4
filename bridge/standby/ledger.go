package standby

import (
	"errors"
	"iter"
	"time"
)

// Mark is how far a leader has come: what it has stored, in three numbers.
type Mark struct {
	Term   uint64
	Epoch  string
	N      uint64 // events of the epoch that are stored
	Sum    uint64 // of their hashes, modulo 2^64
	Window uint64 // of the last Width of them
	// Width is Window to 2 x Window - 1; 0: less than Window are known. It differs
	// from one Mark to the next, so that not each begins behind an equal event because
	// each ends behind one: an Asterisk of which little is asked sends in bursts.
	Width uint64
	// Filters is the hash of all that decides which events count.
	Filters uint64
}

// maxUnacked bounds what a Ledger knows of what was sent and is not stored.
const maxUnacked = 8192

// errUnsettled is an epoch that would begin before all of the last is stored.
var errUnsettled = errors.New("events of the last epoch are not acknowledged: an epoch begins behind them")

// Ledger numbers the events that a leader sends, and sums those that are stored.
// Positions of its sums are numbers of the epoch.
type Ledger struct {
	epoch   string
	sums    sums
	acked   uint64
	filters uint64
	owed    owed
}

// NewLedger begins an epoch, with the Filters of its Marks.
func NewLedger(epoch string, filters uint64) *Ledger {
	return &Ledger{epoch: epoch, sums: newSums(0, 0, maxUnacked+2*Window+1), filters: filters}
}

// Epoch returns the epoch's name.
func (l *Ledger) Epoch() string { return l.epoch }

// Acked returns how many events of the epoch are stored.
func (l *Ledger) Acked() uint64 { return l.acked }

// Sent returns the number of the last event that was sent.
func (l *Ledger) Sent() uint64 { return l.sums.last }

// Read reports whether the next event of the session is to be held, and not stored
// already because a leader before had read it first.
func (l *Ledger) Read(hash uint64) (hold bool) { return !l.owed.drop(hash) }

// Owed returns how many events of the session are stored and were not read yet, and
// whether they are overdue: then the sessions were not aligned, and a Gap must tell.
func (l *Ledger) Owed() (n int, overdue bool) { return l.owed.left, l.owed.overdue() }

// Restart takes up the bridge's next session, of which nothing is owed.
func (l *Ledger) Restart() { l.owed = owed{} }

// Send numbers an event that is sent for the first time; one that is sent again keeps
// its number. It reports false, and does nothing, while maxUnacked are not stored.
func (l *Ledger) Send(hash uint64) (n uint64, ok bool) {
	if l.sums.last-l.acked >= maxUnacked {
		return 0, false
	}
	l.sums.push(hash)
	return l.sums.last, true
}

// Ack takes in that all up to the n'th are stored. What was never sent, or is known
// to be stored, changes nothing.
func (l *Ledger) Ack(n uint64) {
	if n <= l.acked || n > l.sums.last {
		return
	}
	l.acked = n
	if n-l.sums.first > 2*Window {
		l.sums.forget(n - 2*Window)
	}
}

// Rewind takes back all behind the n'th that was sent, none of which is stored: it will be
// numbered anew, in another epoch.
func (l *Ledger) Rewind(n uint64) {
	if n >= l.acked && n < l.sums.last {
		l.sums.last = n
	}
}

// Begin begins the next epoch: a Gap, numbered 0, goes before its first event. All of
// the last must be stored, and whoever sends waits for that, so that a Mark speaks of
// one epoch.
func (l *Ledger) Begin(epoch string) error {
	if l.acked != l.sums.last {
		return errUnsettled
	}
	owed := l.owed
	*l = *NewLedger(epoch, l.filters)
	l.owed = owed
	return nil
}

// Mark returns how far the leader of the term has come.
func (l *Ledger) Mark(term uint64) Mark {
	m := Mark{Term: term, Epoch: l.epoch, N: l.acked, Sum: *l.sums.at(l.acked), Filters: l.filters}
	for _, width := range [...]uint64{widthOf(m.N), Window} {
		if m.N >= width && l.sums.has(m.N-width) {
			m.Window, m.Width = m.Sum-*l.sums.at(m.N - width), width
			break
		}
	}
	return m
}

// widthOf returns the Width of the Mark that is at n.
func widthOf(n uint64) uint64 {
	return Window + n*0x9e3779b97f4a7c15>>32%Window // multiplicative hashing: its middle bits are of all of n
}

// Filter says what the hash is of all that decides which events count from here on.
func (l *Ledger) Filter(hash uint64) { l.filters = hash }

// Follow returns what one who led until now goes on with as a standby, in sync at once.
// What it sent and does not know to be stored was not before since.
// held are the hashes, in order, of all events that it holds and does not know to be
// stored; none of them may have been dropped. Whoever has dropped one, or is in an epoch's
// Gap, begins with NewFollower instead.
func (l *Ledger) Follow(term uint64, most int, since time.Time, held iter.Seq[uint64]) *Follower {
	f := NewFollower(most)
	f.term, f.epoch, f.highest, f.filters, f.owed = term, l.epoch, l.acked, l.filters, l.owed
	f.align(0, l.acked, *l.sums.at(l.acked))
	f.cutN, f.cutAt, f.synced = l.acked, since, true
	for h := range held {
		f.push(h)
	}
	return f
}
