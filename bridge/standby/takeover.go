package standby

import (
	"errors"
	"fmt"
	"slices"
)

const (
	// maxTail bounds what is read of the stream at a take-over.
	maxTail = 1 << 20
	// maxRecent is how many of the last events are remembered of a Tail that is not
	// exact.
	maxRecent = 4096
	// owedPatience is after how many events of the session those that are owed are
	// overdue. Sessions of Asterisk 22.11 differed by up to 327 places.
	owedPatience = 8192
)

// errNotInSync is a take-over of one who is not in sync.
var errNotInSync = errors.New("the standby is not in sync")

// Tail is what the stream holds behind a cut, by the ids of its messages.
type Tail struct {
	server, epoch string
	cut, top      uint64 // top is the highest number of the epoch seen
	hashes        []uint64
	recent        []uint64 // of the last maxRecent at least, of whatever epoch
	strays        int
	seen, other   bool // events of the epoch; those of another before them
	err           error
}

// Tail returns the empty Tail behind the Follower's cut.
func (f *Follower) Tail(server string) *Tail {
	return &Tail{server: server, epoch: f.epoch, cut: f.cutN}
}

// Add takes in the next message's id, in the stream's order. The reading may begin
// anywhere before the cut; it ends with the stream's last event of the server.
func (t *Tail) Add(id ID) {
	if id.Server != t.server {
		return
	}
	if len(t.recent) == 2*maxRecent {
		t.recent = append(t.recent[:0], t.recent[maxRecent:]...)
	}
	if id.N > 0 {
		t.recent = append(t.recent, id.Hash)
	}
	switch {
	case t.err != nil:
	case id.Epoch != t.epoch && t.seen:
		t.err = fmt.Errorf("the stream goes on with epoch %s, of which no Mark was heard", id.Epoch)
	case id.Epoch != t.epoch:
		t.other = true
	case id.N > max(t.cut, t.top)+1:
		t.err = fmt.Errorf("the stream lacks events %d to %d of epoch %s", max(t.cut, t.top)+1, id.N-1, t.epoch)
	case id.N <= t.cut:
		t.seen, t.top = true, max(t.top, id.N)
	case id.N <= t.top:
		t.strays++
	case len(t.hashes) == maxTail:
		t.err = fmt.Errorf("more than %d events are stored behind the cut", maxTail)
	default:
		t.seen, t.top = true, id.N
		t.hashes = append(t.hashes, id.Hash)
	}
}

// Foreign takes in a message with an id of no epoch, as bridges without HA make them. Among
// those of an epoch it is of one that publishes beside, and nothing to those that share.
func (t *Tail) Foreign() {
	if !t.seen {
		t.Add(ID{Server: t.server})
	}
}

// Empty reports whether the stream holds no event of the server.
func (t *Tail) Empty() bool { return len(t.recent) == 0 && !t.seen && !t.other }

// Strays returns how many events a leader stored that had lost its term: each is a
// repeat of one that its successor stored, in its own place.
func (t *Tail) Strays() int { return t.strays }

// Err returns why the Tail does not say exactly what is stored.
func (t *Tail) Err() error {
	switch {
	case t.err != nil:
		return t.err
	case t.other && !t.seen:
		return fmt.Errorf("the stream holds nothing of epoch %s and something of another", t.epoch)
	case t.seen && t.top < t.cut:
		return fmt.Errorf("the stream has lost events %d to %d of epoch %s, which it had acknowledged", t.top+1, t.cut, t.epoch)
	}
	return nil
}

// Short reports whether the Tail ends before the cut, and is none of a stream that holds nothing: it
// may have been read from a replica that is behind.
func (t *Tail) Short() bool { return t.err == nil && (t.seen && t.top < t.cut || t.other && !t.seen) }

// Check returns why TakeOver would fail.
func (f *Follower) Check(t *Tail) error {
	if s, why := f.State(); s != InSync {
		return fmt.Errorf("%w: %v %s", errNotInSync, s, why)
	}
	if t.epoch != f.epoch || t.cut != f.cutN {
		return errors.New("the tail was read behind another cut")
	}
	return t.Err()
}

// TakeOver takes over from the leader. stored hears, in order, which of the held events
// are in the Tail, the oldest being 0: they are released. The rest go out as the Ledger
// numbers them, behind the last one stored. What is in the Tail and was not read yet is
// owed: Ledger.Read tells when it comes. With an error nothing has changed, and a Gap must
// tell of the hole.
//
// What is stored is a prefix of the leader's session. Behind a cut, both sessions go on
// with the same events, and each thread's in the same order; so what we hold less what is
// stored is what is missing, in an order that continues each thread's.
func (f *Follower) TakeOver(t *Tail, stored func(i int)) (*Ledger, error) {
	if err := f.Check(t); err != nil {
		return nil, err
	}
	l := NewLedger(f.epoch, f.filters)
	l.sums, l.acked = newSums(f.cutN, *f.sums.at(f.cut())-f.diff, maxUnacked+2*Window+1), f.cutN
	l.owed.counts = make(map[uint64]uint32, len(t.hashes))
	for _, h := range t.hashes {
		l.owed.add(h, 1)
		l.sums.push(h)
		l.Ack(l.sums.last)
	}
	oldest := f.sums.last - f.held + 1
	for p := oldest; p <= f.sums.last; p++ {
		if p <= f.cut() || l.owed.take(f.sums.hash(p)) {
			stored(int(p - oldest))
		}
	}
	l.owed.addAll(f.owed.counts) // of a take-over before
	return l, nil
}

// Begin takes over from the leader in a new epoch, where TakeOver cannot: a Gap tells that
// events may be missing. What is held behind the last event of the Tail goes out still, and
// what the Tail holds of the events to come is dropped, as far as the session shows them.
func (f *Follower) Begin(epoch string, t *Tail, stored func(i int)) *Ledger {
	l := NewLedger(epoch, f.filters)
	at, coming := f.last(t.recent)
	oldest := f.sums.last - f.held + 1
	for p := oldest; p <= min(at, f.sums.last); p++ {
		stored(int(p - oldest))
	}
	l.owed = owed{counts: map[uint64]uint32{}, guess: true}
	for h, n := range countOf(coming) {
		if n == 1 {
			l.owed.add(h, 1)
		}
	}
	l.owed.addAll(f.owed.counts)
	return l
}

// last returns the position of the last event that is stored, as far as the session
// shows it, and which stored ones may be to come: none, if the last Window of them is
// found; else those behind the newest that is held, of those that occur once; else all.
func (f *Follower) last(recent []uint64) (at uint64, coming []uint64) {
	if n := len(recent); n >= Window {
		var sum uint64
		for _, h := range recent[n-Window:] {
			sum += h
		}
		if at, n := f.sums.find(sum, Window, everywhere); n == 1 {
			return at, nil
		}
	}
	counts := countOf(recent)
	for p := f.sums.last; p > f.sums.last-f.held; p-- {
		if h := f.sums.hash(p); counts[h] == 1 {
			return p, recent[slices.Index(recent, h)+1:]
		}
	}
	return 0, recent
}

func countOf(hashes []uint64) map[uint64]uint32 {
	counts := make(map[uint64]uint32, len(hashes))
	for _, h := range hashes {
		counts[h]++
	}
	return counts
}

// owed is what is stored of a session's events that were not read yet, by their hashes.
type owed struct {
	counts map[uint64]uint32
	left   int
	passed int  // others that came meanwhile
	guess  bool // some may never come
}

func (o *owed) add(hash uint64, n uint32) {
	o.counts[hash] += n
	o.left += int(n)
}

func (o *owed) addAll(counts map[uint64]uint32) {
	for h, n := range counts {
		o.add(h, n)
	}
}

// drop reports whether the event that has just been read is stored already.
func (o *owed) drop(hash uint64) bool {
	if o.left == 0 {
		return false
	}
	if o.take(hash) {
		return true
	}
	if o.passed++; o.guess && o.passed > owedPatience {
		*o = owed{}
	}
	return false
}

// overdue reports that what is owed has not come for so long that it never will.
func (o *owed) overdue() bool { return o.left > 0 && o.passed > owedPatience }

func (o *owed) take(hash uint64) bool {
	n := o.counts[hash]
	if n == 0 {
		return false
	}
	if n == 1 {
		delete(o.counts, hash)
	} else {
		o.counts[hash] = n - 1
	}
	o.left--
	return true
}
