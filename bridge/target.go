package bridge

import (
	"reflect"
	"sync/atomic"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn"
)

// target is a server that Actions are for.
type target struct {
	cfg      *ServerConfig // does not change, but for what permits says
	link     *amiconn.Link
	pressure func(refused bool) // hears that a buffer may have filled or drained; must not wait
	permits  atomic.Pointer[permits]
	tally    tally
	streamed partCounts
}

// newTarget returns one for own, a server of all, with link.
func newTarget(all *Config, own *ServerConfig, link *amiconn.Link, pressure func(refused bool)) *target {
	t := &target{cfg: own, link: link, pressure: pressure}
	t.permits.Store(&permits{policy: newPolicy(all.policyOf(own)), limits: own.ActionRates, rates: newLimiter(own.ActionRates)})
	return t
}

// permits is which Actions are taken. It is not changed once made: another takes
// its place.
type permits struct {
	policy *policy
	limits Rates // that rates hold to
	rates  limiter
}

// permit puts the permits that all and own ask for in force. Rates that stay as
// they are go on where they were: what has been taken is not given again.
func (t *target) permit(all *Config, own *ServerConfig) {
	before := t.permits.Load()
	next := &permits{policy: newPolicy(all.policyOf(own)), limits: own.ActionRates, rates: before.rates}
	if !reflect.DeepEqual(before.limits, next.limits) {
		next.rates = newLimiter(next.limits)
	}
	t.permits.Store(next)
}
