package actions

import (
	"sync"
	"time"
)

// recentSpan is the least and, doubled, the most that counts as of late.
const recentSpan = time.Minute

// recent keeps what the durations were a while ago, so that those of late can be told
// from all since the start.
type recent struct {
	mu            sync.Mutex // protects the following
	at            time.Time  // of middle
	begin, middle durations
}

// p95 is the 95th percentile of those of late, of which all ends at now; 0 without any.
func (r *recent) p95(now time.Time, all durations) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now.Sub(r.at) >= recentSpan {
		r.begin, r.middle, r.at = r.middle, all, now
	}
	late := durations{longest: all.longest}
	for i := range all.buckets {
		late.buckets[i] = all.buckets[i] - r.begin.buckets[i]
		late.count += late.buckets[i]
	}
	return late.quantile(0.95)
}
