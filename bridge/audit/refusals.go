package audit

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/catalog"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/clock"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/name"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/journal"
)

const (
	// refusalRate is how many requests a second of one server and Action leave a
	// record each although they were not given to Asterisk. Those beyond are
	// counted: a caller can make as many as it likes, and the records are kept for
	// ever.
	refusalRate = 10
	// RefusalSpan is how often a record tells of those that were counted.
	RefusalSpan = time.Minute
)

// refusals counts the requests that have no record of their own. There is a
// count for each server, or endpoint of several, and Action that Asterisk has,
// and one for all other Actions; what is not used any more is forgotten.
type refusals struct {
	mu sync.Mutex // protects the following
	of map[refusalKey]*refused
}

type refusalKey struct{ server, action string }

type refused struct {
	rate        *rate.Limiter
	count       uint64 // since the last record
	first, last time.Time
	outcomes    map[string]uint64 // of them
}

// refusalsRecord is the record of those that were counted.
type refusalsRecord struct {
	At       string            `json:"at"`
	Phase    string            `json:"phase"` // refusals
	Node     string            `json:"node"`
	Server   string            `json:"server"`
	Action   string            `json:"action"` // or UnknownAction
	Decision string            `json:"decision"`
	Count    uint64            `json:"count"`
	First    string            `json:"first"`
	Last     string            `json:"last"`
	Outcomes map[string]uint64 `json:"outcomes"`
}

// own reports whether one more request that was not sent has a record of its
// own: while there are few, and if its intent is recorded. Else it is counted.
func (r *refusals) own(server, action, outcome string, intended bool) bool {
	if intended {
		return true
	}
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	one := r.on(server, action)
	if one.rate.AllowN(now, 1) {
		return true
	}
	if one.count == 0 {
		one.first = now
	}
	one.count++
	one.last = now
	one.outcomes[outcome]++
	return false
}

// MayIntend reports whether one that will not be sent may have a record of its intent,
// and of its outcome behind it.
func (d *Recorder) MayIntend(server, action string) bool { return d.refusals.few(server, action) }

// few reports whether one that will not be sent may have a record of its intent,
// and of its outcome behind it.
func (r *refusals) few(server, action string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.on(server, action).rate.AllowN(time.Now(), 1)
}

// on finds or makes the count of an Action of server. It is called with mu held.
func (r *refusals) on(server, action string) *refused {
	key := refusalKey{server, name.UnknownAction}
	if catalog.Known(action) {
		key.action = catalog.Canonical(action)
	}
	one := r.of[key]
	if one == nil {
		one = &refused{rate: rate.NewLimiter(refusalRate, refusalRate), outcomes: make(map[string]uint64)}
		r.of[key] = one
	}
	return one
}

// Run calls RecordRefusals each time that has passed, until ctx ends. It does not do so
// at the end.
func (d *Recorder) Run(ctx context.Context, each time.Duration) {
	ticker := time.NewTicker(each)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			d.RecordRefusals()
		case <-ctx.Done():
			return
		}
	}
}

// RecordRefusals writes a record of what was counted since the last one. What the
// queue does not take goes on being counted.
func (d *Recorder) RecordRefusals() {
	r, now := &d.refusals, time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	keys := slices.SortedFunc(maps.Keys(r.of), func(a, b refusalKey) int {
		return cmp.Or(cmp.Compare(a.server, b.server), cmp.Compare(a.action, b.action))
	})
	for _, key := range keys {
		one := r.of[key]
		if one.count == 0 {
			if one.rate.TokensAt(now) >= refusalRate {
				delete(r.of, key)
			}
			continue
		}
		record := &refusalsRecord{
			At: clock.Stamp(now), Phase: "refusals", Node: d.node, Server: key.server, Action: key.action, Decision: "refused",
			Count: one.count, First: clock.Stamp(one.first), Last: clock.Stamp(one.last), Outcomes: one.outcomes,
		}
		text, err := encode(record)
		if err == nil && d.write(key.server, journal.Entry{Size: len(text)}, func() (string, []byte) { return key.action, text }, nil) == nil {
			one.count, one.outcomes = 0, make(map[string]uint64)
		}
	}
}
