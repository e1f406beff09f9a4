package bridge

import (
	"context"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/actions"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/delivery"
)

// servers are those that a Bridge has. Whoever looks at them sees them as they are at
// one moment, and waits for nobody.
type servers struct {
	now atomic.Pointer[roster]

	changing sync.Mutex     // held while servers come and go; protects the following
	stage    *stages        // nil before they run
	cfg      *config.Config // with all servers and groups
	over     bool           // they come and go no more
}

// roster is which servers there are. It is not changed once made: another takes its place.
type roster struct {
	here    []*server
	leaving []*server // their Links end, and their events are on their way to NATS yet
}

// here are the servers that the bridge has.
func (s *servers) here() []*server { return s.now.Load().here }

// leaving are the servers that it has no more, and of which events are left.
func (s *servers) leaving() []*server { return s.now.Load().leaving }

// all are the servers that the bridge has, and those of which events are left.
func (s *servers) all() []*server {
	now := s.now.Load()
	return slices.Concat(now.here, now.leaving)
}

// Change is what has become of the servers, by their names.
type Change struct {
	Added, Removed []string
	Restarted      []string // log in anew: what has changed of them cannot change otherwise
}

// have makes the servers and groups of cfg those of b, and no others. An error is NATS's:
// some requests do not arrive then.
func (b *Bridge) have(cfg *config.Config) (c Change, err error) {
	b.servers.changing.Lock()
	defer b.servers.changing.Unlock()
	if b.servers.over {
		return c, nil
	}
	b.servers.cfg = cfg
	if b.ha != nil {
		b.ha.Groups(cfg.Groups)
	}
	before, next := b.servers.now.Load(), new(roster)
	left := slices.Concat(before.here, before.leaving)
	var fresh []*server
	b.budget.Divide(len(left) + newcomers(cfg, left))
	for i := range cfg.Servers {
		own := &cfg.Servers[i]
		s, leaves := named(left, own.Name), named(before.leaving, own.Name) != nil
		left = slices.DeleteFunc(left, func(other *server) bool { return other == s })
		switch {
		case s == nil:
			c.Added = append(c.Added, own.Name)
			s = b.newServer(cfg, own)
			fresh = append(fresh, s)
		case leaves:
			c.Added = append(c.Added, own.Name)
			s = b.another(s, cfg, own)
			s.shared.Has(true)
			s.reads.Store(b.ha == nil)
		case s.isOther(own):
			c.Restarted = append(c.Restarted, own.Name)
			s = b.another(s, cfg, own)
		default:
			s.reload(cfg, own)
		}
		next.here = append(next.here, s)
	}
	next.leaving = left
	for _, s := range before.here {
		if slices.Contains(left, s) {
			c.Removed = append(c.Removed, s.cfg.Name)
		}
	}
	b.audit.Open(actions.EndpointNames(cfg))
	b.servers.now.Store(next)
	err = b.actions.Has(targetsOf(next.here), cfg.Groups)
	for _, name := range slices.Concat(c.Added, c.Restarted) {
		b.begin(named(next.here, name))
	}
	b.resume(fresh)
	for _, name := range c.Removed {
		s := named(left, name)
		s.shared.Has(false)
		b.remove(s)
	}
	return c, err
}

// newcomers is how many servers of cfg are not among all.
func newcomers(cfg *config.Config, all []*server) (n int) {
	for i := range cfg.Servers {
		if named(all, cfg.Servers[i].Name) == nil {
			n++
		}
	}
	return n
}

func named(all []*server, name string) *server {
	for _, s := range all {
		if s.cfg.Name == name {
			return s
		}
	}
	return nil
}

func targetsOf(all []*server) (targets []*actions.Target) {
	for _, s := range all {
		targets = append(targets, s.target)
	}
	return targets
}

// isOther reports whether own differs in more than reload can put in force.
func (s *server) isOther(own *config.ServerConfig) bool {
	was, is := s.cfg, *own
	for _, c := range []*config.ServerConfig{&was, &is} {
		c.Username, c.Secret, c.SecretFile, c.Variables = "", "", "", nil
		c.TLSCaFile, c.TLSServerName, c.TLSPinSha256, c.TLSLegacy = "", "", nil, was.TLSLegacy
		c.ActionTimeout, c.ActionTimeouts, c.OutboxBytes = 0, nil, 0
		c.EventsAllow, c.EventsDeny, c.ShedFirst = nil, nil, nil
		c.HACopies = 0
		c.ActionsAllow, c.ActionsDeny, c.ActionsRules, c.ActionRates = nil, nil, was.ActionsRules, nil
	}
	return !reflect.DeepEqual(was, is)
}

// runServers has the Links of all servers run, until stage ends, and of those that come
// later. It returns how many there are.
func (b *Bridge) runServers(stage *stages) int {
	b.servers.changing.Lock()
	defer b.servers.changing.Unlock()
	b.servers.stage = stage
	here := b.servers.here()
	for _, s := range here {
		b.begin(s)
	}
	b.resume(here)
	return len(here)
}

// stopServers has servers come and go no more.
func (b *Bridge) stopServers() {
	b.servers.changing.Lock()
	defer b.servers.changing.Unlock()
	b.servers.over = true
}

// begin has the Link of s run, if this bridge reads it, behind that of before. It needs
// changing, as do resume and remove.
func (b *Bridge) begin(s *server) {
	stage := b.servers.stage
	if stage == nil || !s.reads.Load() {
		return
	}
	var ctx context.Context
	ctx, s.end = context.WithCancel(stage.frontCtx)
	before := s.before
	s.before = nil
	stage.front.Go(func() {
		if before != nil {
			before.stop()
			b.state.End(ctx, before.state)
		}
		b.state.Begin(s.state)
		stage.front.Add(1)
		s.link.Start(ctx, func() {
			close(s.ended)
			stage.front.Done()
		})
	})
}

// resume has the last events of servers before this process be told.
func (b *Bridge) resume(all []*server) {
	stage := b.servers.stage
	if stage == nil || len(all) == 0 || !b.resumes() {
		return
	}
	sources := make([]*delivery.Source, 0, len(all))
	for _, s := range all {
		sources = append(sources, s.source)
	}
	stage.back.Go(func() { delivery.TellLastEvents(stage.backCtx, b.control, sources, b.log) })
}

// remove ends the Link of s, if it runs. One that leaves goes by forget once its events are
// stored, unless it comes back before.
func (b *Bridge) remove(s *server) {
	stage := b.servers.stage
	if stage == nil || s.end == nil {
		close(s.ended)
		return
	}
	stage.front.Go(func() {
		s.stop()
		b.state.End(stage.frontCtx, s.state)
	})
}

// stop ends the Link of s, and returns once it has ended.
func (s *server) stop() {
	s.link.StopActions()
	s.end()
	<-s.ended
}

// isEmpty reports whether s, which leaves, brings nothing more, and nothing of it is left.
func (s *server) isEmpty() bool {
	select {
	case <-s.ended:
		s.ingest.CloseGap()
		if s.shared != nil {
			s.outbox.NextEpoch() // no session follows, which it would wait for
			s.source.Ready()
		}
		return s.outbox.Account().Left == 0
	default:
		return false
	}
}

// forget lets s go, which leaves and is empty.
func (b *Bridge) forget(s *server) {
	b.servers.changing.Lock()
	defer b.servers.changing.Unlock()
	now := b.servers.now.Load()
	leaving := slices.DeleteFunc(slices.Clone(now.leaving), func(other *server) bool { return other == s })
	if len(leaving) == len(now.leaving) {
		return // it has come back
	}
	b.servers.now.Store(&roster{here: now.here, leaving: leaving})
	if b.ha != nil {
		b.ha.Remove(s.shared)
	}
	b.publisher.Remove(s.source)
	s.outbox.Leave()
	b.budget.Divide(len(now.here) + len(leaving))
}
