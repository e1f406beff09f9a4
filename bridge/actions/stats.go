package actions

import (
	"slices"
	"sync/atomic"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/clock"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/reply"
)

// result is what became of a request.
type result uint8

const (
	resultAnswered result = iota
	resultFailed          // given to Asterisk, ended in an error
	resultRefused         // not given to Asterisk
	results
)

// String returns the result as metrics and statistics spell it.
func (r result) String() string { return [...]string{"answered", "failed", "refused"}[r] }

// resultOf is that of a request that was given to Asterisk, now or earlier.
func resultOf(fail *reply.Error) result {
	if fail != nil {
		return resultFailed
	}
	return resultAnswered
}

var (
	// bounds are the upper ends of the buckets for durations: a local Asterisk
	// answers in less than 1 ms, a synchronous Originate takes a minute.
	bounds = [...]time.Duration{
		500 * time.Microsecond, time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond,
		10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond, 100 * time.Millisecond,
		250 * time.Millisecond, 500 * time.Millisecond, time.Second, 2500 * time.Millisecond,
		5 * time.Second, 10 * time.Second, 30 * time.Second, time.Minute,
	}
)

// requestStats counts how requests ended, and how long those took that were not
// refused. Its methods may be called from any goroutine; they neither lock nor
// allocate.
type requestStats struct {
	results [results]atomic.Uint64
	errors  [len(reply.Kinds)]atomic.Uint64
	buckets [len(bounds) + 1]atomic.Uint64
	sum     atomic.Int64 // nanoseconds
	longest atomic.Int64 // nanoseconds
	last    atomic.Pointer[reply.Error]
}

// add counts a request that ended after so long, because of fail if it is not
// nil.
func (t *requestStats) add(r result, fail *reply.Error, took time.Duration) {
	t.results[r].Add(1)
	if fail != nil {
		t.last.Store(fail)
		if i := slices.Index(reply.Kinds[:], fail.Kind); i >= 0 {
			t.errors[i].Add(1)
		}
	}
	if r == resultRefused {
		return
	}
	i, _ := slices.BinarySearch(bounds[:], took)
	t.buckets[i].Add(1)
	t.sum.Add(int64(took))
	for old := t.longest.Load(); int64(took) > old && !t.longest.CompareAndSwap(old, int64(took)); {
		old = t.longest.Load()
	}
}

// durations are those of a tally at one moment.
type durations struct {
	count        uint64
	buckets      [len(bounds) + 1]uint64
	sum, longest time.Duration
}

func (t *requestStats) durations() (d durations) {
	for i := range t.buckets {
		d.buckets[i] = t.buckets[i].Load()
		d.count += d.buckets[i]
	}
	d.sum, d.longest = time.Duration(t.sum.Load()), time.Duration(t.longest.Load())
	return d
}

// average is 0 if nothing was counted.
func (d *durations) average() time.Duration {
	if d.count == 0 {
		return 0
	}
	return d.sum / time.Duration(d.count)
}

// quantile estimates the duration that a fraction q was not longer than: on the
// straight line through its bucket, and never over the longest.
func (d *durations) quantile(q float64) time.Duration {
	rank := q * float64(d.count)
	var below uint64
	for i, n := range d.buckets {
		if n > 0 && float64(below+n) >= rank {
			low, high := time.Duration(0), d.longest
			if i > 0 {
				low = bounds[i-1]
			}
			if i < len(bounds) {
				high = min(high, bounds[i])
			}
			return low + time.Duration(float64(high-low)*(rank-float64(below))/float64(n))
		}
		below += n
	}
	return 0
}

// seconds returns the buckets as Prometheus has them: by their upper end, each with
// all below it.
func (d *durations) seconds() map[float64]uint64 {
	buckets := make(map[float64]uint64, len(bounds))
	var n uint64
	for i, bound := range bounds {
		n += d.buckets[i]
		buckets[bound.Seconds()] = n
	}
	return buckets
}

// shownStats is a tally as the service's statistics show it.
type shownStats struct {
	Answered uint64            `json:"answered"`
	Failed   uint64            `json:"failed"`
	Refused  uint64            `json:"refused"`
	Errors   map[string]uint64 `json:"errors"` // by kind, those that there were
	Duration durationStats     `json:"duration_ms"`
}

// durationStats are of those answered or failed; P50 and P99 are estimates.
type durationStats struct {
	Count   uint64  `json:"count"`
	Sum     float64 `json:"sum"`
	Average float64 `json:"average"`
	P50     float64 `json:"p50"`
	P99     float64 `json:"p99"`
	Max     float64 `json:"max"`
}

// stats are those of t, of which d are the durations.
func (t *requestStats) stats(d *durations) shownStats {
	s := shownStats{
		Answered: t.results[resultAnswered].Load(), Failed: t.results[resultFailed].Load(),
		Refused: t.results[resultRefused].Load(), Errors: make(map[string]uint64),
		Duration: durationStats{
			Count: d.count, Sum: clock.Millis(d.sum), Average: clock.Millis(d.average()),
			P50: clock.Millis(d.quantile(0.5)), P99: clock.Millis(d.quantile(0.99)), Max: clock.Millis(d.longest),
		},
	}
	for i, kind := range reply.Kinds {
		if n := t.errors[i].Load(); n > 0 {
			s.Errors[string(kind)] = n
		}
	}
	return s
}
