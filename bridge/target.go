package bridge

import (
	"reflect"
	"sync/atomic"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/policy"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/reply"
)

// target is a server that Actions are for.
type target struct {
	cfg      *config.ServerConfig // does not change, but for what permits says
	link     *amiconn.Link
	pressure func(refused bool) // hears that a buffer may have filled or drained; must not wait
	permits  atomic.Pointer[permits]
	tally    tally
	streamed reply.PartCounts
}

// newTarget returns one for own, a server of all, with link.
func newTarget(all *config.Config, own *config.ServerConfig, link *amiconn.Link, pressure func(refused bool)) *target {
	t := &target{cfg: own, link: link, pressure: pressure}
	t.permits.Store(&permits{policy: policy.New(all.PolicyOf(own)), limits: own.ActionRates, rates: policy.NewLimiter(own.ActionRates)})
	return t
}

// policyNow is the policy in force.
func (t *target) policyNow() *policy.Policy { return t.permits.Load().policy }

// parts counts what was streamed of its replies.
func (t *target) parts() *reply.PartCounts { return &t.streamed }

// ends returns how many requests for the server have ended, by result, whatever
// endpoint they came by.
func (t *target) ends() map[string]uint64 {
	all := make(map[string]uint64, results)
	for r := range results {
		all[r.String()] = t.tally.results[r].Load()
	}
	return all
}

// took returns how long those took that were not refused: how many there were, the
// sum, and a histogram's buckets by their upper ends in seconds, each with all below.
func (t *target) took() (count uint64, sum time.Duration, buckets map[float64]uint64) {
	d := t.tally.durations()
	return d.count, d.sum, d.seconds()
}

// permits is which Actions are taken. It is not changed once made: another takes
// its place.
type permits struct {
	policy *policy.Policy
	limits policy.Rates // that rates hold to
	rates  policy.Limiter
}

// permit puts the permits that all and own ask for in force. Rates that stay as
// they are go on where they were: what has been taken is not given again.
func (t *target) permit(all *config.Config, own *config.ServerConfig) {
	before := t.permits.Load()
	next := &permits{policy: policy.New(all.PolicyOf(own)), limits: own.ActionRates, rates: before.rates}
	if !reflect.DeepEqual(before.limits, next.limits) {
		next.rates = policy.NewLimiter(next.limits)
	}
	t.permits.Store(next)
}
