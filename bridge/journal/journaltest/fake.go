package journaltest

import (
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/journal"
)

// Fake keeps what is written until a test takes it. It has the bound of a real
// one: the last quarter is for what must be stored. It is for one goroutine.
type Fake struct {
	Limit          int // bytes
	waiting        []journal.Entry
	bytes          int
	unacknowledged bool
}

// Write is Journal's.
func (j *Fake) Write(e journal.Entry) error {
	room := j.Limit - j.Limit/4
	if e.Must {
		room = j.Limit
	}
	if j.bytes+e.Bytes() > room {
		return journal.ErrFull
	}
	j.waiting = append(j.waiting, e)
	j.bytes += e.Bytes()
	return nil
}

// SetUnacknowledged is Journal's.
func (j *Fake) SetUnacknowledged(on bool) { j.unacknowledged = on }

// IsUnacknowledged is Journal's.
func (j *Fake) IsUnacknowledged() bool { return j.unacknowledged }

// Take takes out the first that wait, at most so many. They count until Finish.
func (j *Fake) Take(most int) (all []journal.Entry) {
	n := min(most, len(j.waiting))
	all, j.waiting = j.waiting[:n:n], j.waiting[n:]
	j.bytes += journal.MakeAll(all)
	return all
}

// Finish has e be stored, or not for err.
func (j *Fake) Finish(e journal.Entry, ack *jetstream.PubAck, err error) {
	j.bytes -= e.Bytes()
	if e.Done != nil {
		e.Done(ack, err)
	}
}
