package delivery

import (
	"time"

	"go.uber.org/zap"
)

// Where bridges share servers, a stream that takes longer to answer than a batch goes on for
// (standby.SendLease) has each event go alone: no batch goes on, and what is sent behind an answer that
// old is in doubt. That is safe, and as slow as it sounds; so it is told.

const (
	// lateBatches are so many batches of one event in a row, each acknowledged too late for more, that it is
	// no passing hiccup; lateSpan is between two lines about it.
	lateBatches = 5
	lateSpan    = time.Minute
)

// late is for how many batches the stream has answered too late.
type late struct {
	lease time.Duration // of the batch that is open
	count int
	took  time.Duration // the last
}

// note takes in that a batch of so many events, the first sent at that time, has been acknowledged. Where
// bridges share nothing it does not look at the clock.
func (l *late) note(events uint64, sent time.Time) {
	if l.lease == 0 || events > 1 {
		l.count = 0
		return
	}
	if l.took = time.Since(sent); l.took < l.lease {
		l.count = 0
		return
	}
	l.count++
}

// tellLate logs that one event goes at a time.
func (p *Publisher) tellLate(now time.Time) {
	if p.lead == nil || now.Sub(p.lateAt) < lateSpan {
		return
	}
	p.fast.mu.Lock()
	l := p.fast.late
	p.fast.mu.Unlock()
	if l.count < lateBatches {
		return
	}
	p.lateAt = now
	p.log.Warn("events go one at a time: the stream answers too late", zap.Duration("took", l.took), zap.Duration("most", l.lease))
}
