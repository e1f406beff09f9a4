package delivery

import (
	"context"
	"time"
)

// lingering is how the publisher has events share a write and an acknowledgement: it waits
// before it sends, and keeps back what would end a batch.
type lingering struct {
	linger   time.Duration
	gathered time.Time // when gather ended last

	kept   <-chan time.Time // until when the last event of a burst waits for those behind it; nil: none does
	keeper int              // the number of its source
}

// gather waits for more of what comes soon after the last, so that it shares a write and an
// acknowledgement: what comes to a publisher that has been idle for as long goes at once.
// What comes meanwhile of anything else waits as long, which is short beside every limit of
// it.
func (p *Publisher) gather(ctx context.Context) {
	if wait := time.Until(p.gathered.Add(p.linger)); wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
	}
	p.letGo(-1)
	if p.gathered = time.Now(); p.linger > 0 && p.fast != nil {
		p.fast.gathered()
	}
}

// keeps reports whether the one event that waits is to go out with what comes behind it: it
// is the last of a burst, and would end the batch, of which the next burst can be part as
// well. So a hundred events share an acknowledgement and not only a burst, and no burst waits
// for that of the one before. If nothing comes for as long as gather waits, it ends the batch.
// Servers that are shared have no batch of several bursts, see gathered.
func (p *Publisher) keeps(id int) bool {
	if p.linger == 0 || p.lead != nil || p.kept != nil || !p.batched() || p.fast.burst < fastBurst {
		return false
	}
	if !p.source(id).Outbox.WaitsOne() || !p.fast.wantsLast() || p.scheduler.Any(p.hasMore) {
		return false
	}
	p.keeper, p.kept = id, time.After(min(p.linger, fastTail/2))
	return true
}

// letGo has what is kept go out, with what the source id or anyone has now: else it would
// wait for as long as others have more.
func (p *Publisher) letGo(id int) {
	if p.kept != nil && p.keeper != id {
		p.scheduler.Ready(p.keeper)
	}
	p.kept = nil
}

// isKept reports whether the source waits for keeps.
func (p *Publisher) isKept(id int) bool { return p.kept != nil && p.keeper == id }
