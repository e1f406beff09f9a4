package policy

import (
	"fmt"
	"strconv"
	"time"

	"golang.org/x/time/rate"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/setting"
)

// Rates are the most Actions a second that are taken of some Actions.
type Rates setting.PerAction[float64]

// maxRate keeps a burst well within an int.
const maxRate = 1e6

// Decode reads rates such as Originate=5,Queue*=50.
func (r *Rates) Decode(text string) error {
	all, ok := setting.ReadPerAction(text, func(text string) (float64, bool) {
		n, err := strconv.ParseFloat(text, 64)
		return n, err == nil && n > 0 && n <= maxRate
	})
	if !ok {
		return fmt.Errorf("wants patterns of actions with how many a second, more than 0, such as Originate=5,Queue*=0.5")
	}
	*r = Rates(all)
	return nil
}

// String returns what Decode reads.
func (r Rates) String() string { return setting.PerAction[float64](r).String() }

// Limiter holds a server's Actions to its Rates. All Actions that one pattern
// decides share its rate. It is safe for concurrent use.
type Limiter setting.PerAction[*rate.Limiter]

// NewLimiter allows as many at once as each rate allows in a second, and one at
// the least.
func NewLimiter(rates Rates) Limiter {
	var l Limiter
	for _, r := range rates {
		bucket := rate.NewLimiter(rate.Limit(r.Value), max(1, int(r.Value)))
		l = append(l, setting.ActionValue[*rate.Limiter]{Pattern: r.Pattern, Value: bucket})
	}
	return l
}

// Allow counts action and returns 0, or how long it is until there is room for
// it again; then it does not count.
func (l Limiter) Allow(action string) (retryAfter time.Duration) {
	bucket, ok := setting.PerAction[*rate.Limiter](l).For(action)
	if !ok {
		return 0
	}
	now := time.Now()
	if bucket.AllowN(now, 1) {
		return 0
	}
	missing := 1 - bucket.TokensAt(now)
	// Whole milliseconds are what a caller is told.
	wait := time.Duration(missing / float64(bucket.Limit()) * float64(time.Second))
	return max(time.Millisecond, wait.Truncate(time.Millisecond)+time.Millisecond)
}
