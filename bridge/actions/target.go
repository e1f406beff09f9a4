package actions

import (
	"reflect"
	"sync/atomic"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/policy"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/reply"
)

// Target is a server that Actions are for. Its methods may be called from any
// goroutine, but for Permit, which one calls at a time.
type Target struct {
	cfg      *config.ServerConfig // does not change, but for what permits say
	link     *amiconn.Link
	pressure func(refused bool) // hears that a buffer may have filled or drained; must not wait
	acted    func(name string)  // hears of each Action that Asterisk has answered; must not wait
	permits  atomic.Pointer[permits]
	leads    func() bool // whether this bridge leads the server, which others share; nil: nobody shares it
	stats    requestStats
	recent   recent
	refused  refusals
	streamed reply.PartCounts
}

// NewTarget returns the Target of own, a server of all. pressure is told that a buffer
// of link may have filled or drained, and whether it has refused; acted, the name of each
// Action that Asterisk has answered, by an Error too. Neither must wait.
func NewTarget(all *config.Config, own *config.ServerConfig, link *amiconn.Link, pressure func(refused bool), acted func(name string)) *Target {
	t := &Target{cfg: own, link: link, pressure: pressure, acted: acted}
	t.permits.Store(&permits{own: own, policy: policy.New(all.PolicyOf(own)), limits: own.ActionRates, rates: policy.NewLimiter(own.ActionRates)})
	return t
}

// Share has Actions be taken while leads reports that this bridge leads the server, which
// others share. It is called before Serve.
func (t *Target) Share(leads func() bool) { t.leads = leads }

// Policy is the policy in force.
func (t *Target) Policy() *policy.Policy { return t.permits.Load().policy }

// timeout is how long an Action may take of which the request says asked, 0 for nothing.
func (t *Target) timeout(action string, asked time.Duration) time.Duration {
	return t.permits.Load().own.Timeout(action, asked)
}

// Parts counts what was streamed of its replies.
func (t *Target) Parts() *reply.PartCounts { return &t.streamed }

// Ends returns how many requests for the server have ended, by result, whatever
// endpoint they came by.
func (t *Target) Ends() map[string]uint64 {
	all := make(map[string]uint64, results)
	for r := range results {
		all[r.String()] = t.stats.results[r].Load()
	}
	return all
}

// Durations returns how long those took that were not refused: how many there were, the
// sum, and a histogram's buckets by their upper ends in seconds, each with all below.
func (t *Target) Durations() (count uint64, sum time.Duration, buckets map[float64]uint64) {
	d := t.stats.durations()
	return d.count, d.sum, d.seconds()
}

// Recent returns the 95th percentile of how long those Actions took, answered or failed,
// that ended in the last minute or two; 0 if there were none. It may be called from any
// goroutine.
func (t *Target) Recent(now time.Time) (p95 time.Duration) {
	return t.recent.p95(now, t.stats.durations())
}

// permits is which Actions are taken, and how long each may take. It is not changed once
// made: another takes its place.
type permits struct {
	own    *config.ServerConfig
	policy *policy.Policy
	limits policy.Rates // that rates hold to
	rates  policy.Limiter
}

// Permit puts the permits that all and own ask for in force. Rates that stay as
// they are go on where they were: what has been taken is not given again.
func (t *Target) Permit(all *config.Config, own *config.ServerConfig) {
	before := t.permits.Load()
	next := &permits{own: own, policy: policy.New(all.PolicyOf(own)), limits: own.ActionRates, rates: before.rates}
	if !reflect.DeepEqual(before.limits, next.limits) {
		next.rates = policy.NewLimiter(next.limits)
	}
	t.permits.Store(next)
}
