package actions

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/clock"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/name"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/natsconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/reply"
)

// Endpoint is where requests arrive for one server, for one of several (any, or
// a group), or for all of them.
type Endpoint struct {
	shared  *shared
	Name    string // the subject's token
	routed  bool   // one of its servers has it, which the endpoint chooses
	every   bool   // each of them has it
	group   bool
	behind  atomic.Pointer[behind] // now
	next    atomic.Uint64
	stats   requestStats
	held    requestBudget
	dropped dropped
	asked   asked
	subs    []*natsconn.Subscription // nil while none of its requests come here
}

// behind are the servers of an endpoint. They do not change once made: others take
// their place.
type behind struct {
	servers []*Target
	groups  map[string][]*Target // of every: those that Ami-Group names
}

// EndpointNames are the names of the endpoints that New makes for cfg: of servers and
// groups, any and all.
func EndpointNames(cfg *config.Config) (names []string) {
	for _, s := range cfg.Servers {
		names = append(names, s.Name)
	}
	for _, g := range cfg.Groups {
		names = append(names, g.Name)
	}
	return append(names, "any", "all")
}

// endpointsOf returns one a server, one a group, any and all: those of before that
// there are still, and others.
func endpointsOf(before []*Endpoint, shared *shared, servers []*Target, groups []config.Group) (all []*Endpoint) {
	add := func(e *Endpoint, m behind) {
		at := slices.IndexFunc(before, func(b *Endpoint) bool { return b.Name == e.Name && b.kind() == e.kind() })
		if at >= 0 {
			e = before[at]
		} else {
			e.shared, e.held.limit = shared, requestBytes
		}
		e.behind.Store(&m)
		all = append(all, e)
	}
	byName := make(map[string]*Target)
	for _, s := range servers {
		byName[s.cfg.Name] = s
		add(&Endpoint{Name: s.cfg.Name}, behind{servers: []*Target{s}})
	}
	named := make(map[string][]*Target)
	for _, g := range groups {
		for _, name := range g.Servers {
			named[g.Name] = append(named[g.Name], byName[name])
		}
		add(&Endpoint{Name: g.Name, routed: true, group: true}, behind{servers: named[g.Name]})
	}
	add(&Endpoint{Name: "any", routed: true}, behind{servers: servers})
	add(&Endpoint{Name: "all", every: true}, behind{servers: servers, groups: named})
	return all
}

// isFor reports whether requests for e are for this bridge: of the servers that others
// share it leads those in led.
func (e *Endpoint) isFor(led map[string]bool) bool {
	if e.group && e.isShared() && e.shared.others.OtherGroups() {
		return true
	}
	servers := e.behind.Load().servers
	return len(servers) == 0 && !e.isShared() || slices.ContainsFunc(servers, func(t *Target) bool { return t.leads == nil || led[t.cfg.Name] })
}

// IsElsewhere reports whether other bridges lead all servers of e: requests for it are theirs.
func (e *Endpoint) IsElsewhere() bool {
	servers := e.behind.Load().servers
	return len(servers) > 0 && !slices.ContainsFunc(servers, func(t *Target) bool { return t.leads == nil || t.leads() })
}

// Subject is what e is subscribed to.
func (e *Endpoint) Subject() string { return e.shared.prefix + ".actions." + e.Name + ".*" }

// dropped counts the requests that nats.go drops since the endpoint does not take
// them fast enough: nobody else reports them. Its methods may be called from any
// goroutine.
type dropped struct {
	mu    sync.Mutex                    // protects the following
	subs  map[*nats.Subscription]uint64 // those that may drop, or have: the last one, and those being drained
	ended uint64                        // of those that have ended

	logged clock.Sum // the status goroutine's own
}

const (
	// queuedRequests and queuedBytes bound what waits for an endpoint. nats.go
	// drops what comes when either is reached.
	queuedRequests = 1 << 15
	queuedBytes    = 64 << 20
)

// arrive bounds what waits in sub, by which requests come from now on.
func (e *Endpoint) arrive(sub *nats.Subscription) error {
	e.dropped.follow(sub)
	return sub.SetPendingLimits(queuedRequests, queuedBytes)
}

// logDropped logs how many were dropped. It is for the status goroutine.
func (e *Endpoint) logDropped(now time.Time) {
	if n, _ := e.dropped.logged.Due(e.dropped.total(), now); n > 0 {
		e.shared.log.Error("requests dropped", zap.String("endpoint", e.Name), zap.Uint64("count", n))
	}
}

// follow counts those of sub too.
func (d *dropped) follow(sub *nats.Subscription) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.subs == nil {
		d.subs = make(map[*nats.Subscription]uint64)
	}
	d.subs[sub] = 0
}

// look counts. nats.go no longer says how many a subscription has dropped once it
// has ended, so that somebody has to look while it is drained.
func (d *dropped) look() { d.total() }

// total is how many were dropped since the start.
func (d *dropped) total() uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	total := d.ended
	for sub, last := range d.subs {
		n, err := sub.Dropped()
		if err != nil { // it has ended
			delete(d.subs, sub)
			d.ended, total = d.ended+last, total+last
			continue
		}
		d.subs[sub] = uint64(n)
		total += uint64(n)
	}
	return total
}

// Held returns how many bytes its requests hold that have not ended, and how many
// requests have found no room for theirs.
func (e *Endpoint) Held() (bytes int64, refused uint64) {
	return e.held.bytes.Load(), e.held.refused.Load()
}

// Dropped is how many of its requests were dropped since the start.
func (e *Endpoint) Dropped() uint64 { return e.dropped.total() }

// kind is what e is, for discovery.
func (e *Endpoint) kind() string {
	switch {
	case e.group:
		return "group"
	case e.routed:
		return "any"
	case e.every:
		return "all"
	}
	return "server"
}

func (e *Endpoint) serverNames() (names []string) {
	for _, s := range e.behind.Load().servers {
		names = append(names, s.cfg.Name)
	}
	return names
}

// onRequest takes a request. It runs on the endpoint's goroutine, one request
// at a time, and waits neither for Asterisk nor for JetStream.
func (e *Endpoint) onRequest(m *nats.Msg) {
	a := e.newRequest(m)
	a.guarded(func() { e.take(a, m) })
}

func (e *Endpoint) take(a *actionRequest, m *nats.Msg) {
	if e.every {
		a.after = a.endOf(1) // of a refusal
	}
	err := a.read(m)
	if !reply.IsInbox(a.to) {
		// Answering elsewhere would publish under the bridge's own rights.
		fail := &reply.Error{Kind: reply.KindNoInbox, Sent: "no", Message: "its reply subject is not an inbox"}
		a.count(resultRefused, fail)
		e.shared.audit.Outcome(a.audited(), nil, fail)
		e.shared.log.Warn("request refused", zap.String("reason", fail.Message),
			zap.String("subject", a.subject))
		return
	}
	if err != nil {
		a.Refuse(reply.BadRequest(err))
		return
	}
	switch {
	case a.options.group != (name.Server{}) && !e.every:
		a.Refuse(reply.BadRequest(errors.New("Ami-Group is for requests to all: call the group by its name")))
	case e.every:
		a.fanOut()
	case e.routed:
		a.others, a.declined = e.turn(a.behind.servers), refusalOf(errNoServer, 0)
		a.begin()
	default:
		a.others = a.behind.servers
		a.begin()
	}
}

// errNoServer is why an Action for any server has none.
var errNoServer = errors.New("this bridge has no server")

// turn returns servers in the order in which they are to be tried: round robin, and those
// that this bridge leads before those that others lead.
func (e *Endpoint) turn(servers []*Target) (all []*Target) {
	first := e.next.Add(1) - 1
	var own, others []*Target
	for _, s := range servers {
		if s.isElsewhere() {
			others = append(others, s)
		} else {
			own = append(own, s)
		}
	}
	for _, some := range [][]*Target{own, others} {
		if len(some) > 0 {
			from := int(first % uint64(len(some)))
			all = append(append(all, some[from:]...), some[:from]...)
		}
	}
	return all
}
