package state

import (
	"sync"
	"time"
)

// tellAgain is the least time from one refusal that the streams are told of to the next: many servers'
// keys may be refused alike, and each has the streams looked at.
const tellAgain = 5 * time.Second

// reports tells the streams what becomes of what is written. That something was stored mends nothing
// as long as something else is refused: told in turn, the one and the other would be all that is heard.
type reports struct {
	to   func(error)
	calm time.Duration // without a refusal, until it is told that something was stored

	mu      sync.Mutex // protects the following
	refused time.Time  // when a refusal was last told
}

// take hears that something was stored, or why not.
func (r *reports) take(err error) { r.taken(err, time.Now()) }

func (r *reports) taken(err error, now time.Time) {
	least := tellAgain
	if err == nil {
		least = r.calm
	}
	r.mu.Lock()
	due := r.refused.IsZero() || now.Sub(r.refused) >= least
	if due && err != nil {
		r.refused = now
	}
	r.mu.Unlock()
	if due {
		r.to(err)
	}
}
