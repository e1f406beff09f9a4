package bridge

import "github.com/nats-io/nats.go/jetstream"

// fakeJournal keeps what is written until a test takes it. It has the bound of a
// real one: the last quarter is for what must be stored.
type fakeJournal struct {
	limit   int
	waiting []journalEntry
	bytes   int
	unheard bool
}

func (j *fakeJournal) write(e journalEntry) error {
	room := j.limit - j.limit/4
	if e.must {
		room = j.limit
	}
	if j.bytes+sizeOf(e) > room {
		return errJournalFull
	}
	j.waiting = append(j.waiting, e)
	j.bytes += sizeOf(e)
	return nil
}

func sizeOf(e journalEntry) int { return len(e.msg.Subject) + len(e.msg.Data) + 512 }

func (j *fakeJournal) setUnheard(on bool) { j.unheard = on }

func (j *fakeJournal) isUnheard() bool { return j.unheard }

// take takes out the first that wait, at most so many. They count until finish.
func (j *fakeJournal) take(most int) (all []journalEntry) {
	n := min(most, len(j.waiting))
	all, j.waiting = j.waiting[:n:n], j.waiting[n:]
	return all
}

// finish has e be stored, or not for err.
func (j *fakeJournal) finish(e journalEntry, ack *jetstream.PubAck, err error) {
	j.bytes -= sizeOf(e)
	if e.done != nil {
		e.done(ack, err)
	}
}
