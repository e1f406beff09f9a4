package standby

import (
	"maps"
	"math/rand/v2"
	"slices"
	"time"
)

// What the model of a stream refuses with, as nats-server has it.
const (
	wrongLast     = 10071
	inProcess     = 10164
	unknownBatch  = 10208
	isRepeat      = 1 // no refusal
	batchIdleTime = 10 * time.Second
)

// jetstream is a model of the events' stream, as measured: fences on the first event of
// a batch that is no repeat, batches that live ten seconds without traffic and are opened again by a change
// of the stream's leader, message ids in a window, and what is on its way to the replicas
// when the leader changes lost.
type jetstream struct {
	rng     *rand.Rand
	now     time.Time
	seq     uint64
	term    *Term
	termSeq uint64
	last    uint64 // sequence of the last event
	log     []logged
	records []record      // those of terms since the stream was purged
	lag     time.Duration // how far a replica is behind, that some reads come to
	from    int           // of log: what was before was purged
	ids     map[ID]bool
	batches map[string]*batch
	ended   map[string]*batch // by operation 3, on this leader of the stream alone
	flaky   float64           // share of fences that meet another in process
	tokens  int
}

type logged struct {
	stored
	seq    uint64
	at     time.Time
	purged bool
}

type record struct {
	Term
	seq uint64
	at  time.Time
}

type batch struct {
	owner string
	n     uint64
	at    time.Time
}

func newJetstream(rng *rand.Rand) *jetstream {
	return &jetstream{rng: rng, ids: map[ID]bool{}, batches: map[string]*batch{}, ended: map[string]*batch{}}
}

// publication is an event on its way.
type publication struct {
	batch string
	n     uint64 // in it
	fence uint64 // on the first
	whole bool   // the first expects last in place of it
	last  uint64
	stored
}

func (s *jetstream) publish(owner string, p publication, now time.Time) (code int) {
	b := s.batches[p.batch]
	if b != nil && now.Sub(b.at) > batchIdleTime {
		delete(s.batches, p.batch)
		b = nil
	}
	if p.n == 1 {
		switch { // a repeat is known before a fence is looked at
		case s.ids[p.id]:
		case s.rng.Float64() < s.flaky:
			return inProcess
		case p.whole && p.last != s.last, !p.whole && p.fence != s.termSeq: // one message has one fence
			return wrongLast
		}
		b = &batch{owner: owner}
		s.batches[p.batch] = b
	}
	if b == nil || b.n+1 != p.n {
		delete(s.batches, p.batch)
		return unknownBatch
	}
	b.n, b.at = p.n, now
	if s.ids[p.id] {
		return isRepeat
	}
	s.ids[p.id] = true
	s.seq++
	s.last = s.seq
	s.log = append(s.log, logged{stored: p.stored, seq: s.seq, at: now})
	return 0
}

func (s *jetstream) write(t Term, fence uint64) (seq uint64, code int) {
	if s.rng.Float64() < s.flaky {
		return 0, inProcess
	}
	if fence != s.termSeq {
		return 0, wrongLast
	}
	s.seq++
	s.term, s.termSeq = &t, s.seq
	s.records = append(s.records, record{t, s.seq, s.now})
	return s.seq, 0
}

// upTo is what a replica has that is asked now: all that was stored by then.
func (s *jetstream) upTo() time.Time {
	if s.rng.IntN(2) == 0 {
		return s.now
	}
	return s.now.Add(-s.lag)
}

// readTerm reads the record of the term from one of the replicas.
func (s *jetstream) readTerm() (t *Term, seq uint64) {
	now := s.upTo()
	for i := range s.records {
		if r := &s.records[i]; !r.at.After(now) {
			t, seq = &r.Term, r.seq
		}
	}
	return t, seq
}

// read reads the events from one of the replicas, and returns the sequence of the last.
func (s *jetstream) read(add func(ID)) (last uint64) {
	now := s.upTo()
	for _, m := range s.log[s.from:] {
		if !m.at.After(now) {
			add(m.id)
			last = m.seq
		}
	}
	return last
}

// end ends the batches of those.
func (s *jetstream) end(owners []string) {
	for name, b := range s.batches {
		if slices.Contains(owners, b.owner) {
			s.ended[name] = b
			delete(s.batches, name)
		}
	}
}

// stepdown has another replica lead the stream: it has not heard that batches were ended.
func (s *jetstream) stepdown() {
	maps.Copy(s.batches, s.ended)
	clear(s.ended)
}

// purge takes away all messages, with the term; anew, as if the stream was deleted and made
// again.
func (s *jetstream) purge(anew bool) {
	for i := range s.log {
		s.log[i].purged = true
	}
	s.from, s.term, s.termSeq, s.last, s.records = len(s.log), nil, 0, 0, nil
	if anew {
		s.seq = 0
		clear(s.ids)
		clear(s.batches)
		clear(s.ended)
	}
}
