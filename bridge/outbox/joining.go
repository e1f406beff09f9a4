package outbox

import "time"

// Pong takes in, between two events of the session, that a Ping was answered which was asked
// then: of a standby, which looks for the leader.
func (o *Outbox) Pong(asked time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.share.follows != nil {
		o.share.follows.Pong(asked)
	}
}

// Probe returns what a standby asks the leader: the probe of that id, or an older one that it
// has not answered; 0 if it is in sync, or leads.
func (o *Outbox) Probe(id uint64) uint64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.share.follows == nil {
		return 0
	}
	return o.share.follows.Probe(id)
}

// Answer takes in that the leader had read n events of the epoch: see standby.Answer.
func (o *Outbox) Answer(epoch string, probe, n uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.share.follows != nil {
		o.share.follows.Answer(epoch, probe, n)
	}
}

// ReadUpTo returns how many events of the epoch were read, by who leads. It is false where that
// is not known: a Gap waits, behind which another epoch begins, or a session has ended.
func (o *Outbox) ReadUpTo() (epoch string, n uint64, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	h := o.share
	if h.leads == nil || h.lost > 0 || h.refused || uint64(o.waiting.Len()+o.sent.Len()+o.retry.Len()) != o.queued+o.inFlight {
		return "", 0, false
	}
	return h.leads.Epoch(), h.leads.Acked() + o.queued + o.inFlight, true
}
