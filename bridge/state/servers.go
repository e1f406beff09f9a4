package state

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
)

// servers are those whose state is kept. They come and go while others' is written.
type servers struct {
	now atomic.Pointer[[]*Server] // not changed once made: another takes its place

	mu    sync.Mutex      // protects the following
	ctx   context.Context // of their goroutines; nil before Run and once that ends
	group sync.WaitGroup  // their goroutines
}

// all are the servers now.
func (s *servers) all() []*Server {
	if now := s.now.Load(); now != nil {
		return *now
	}
	return nil
}

// set takes changed in place of all. It needs mu.
func (s *servers) set(changed []*Server) { s.now.Store(&changed) }

// start has one driven, if there is who waits for it. It needs mu.
func (s *servers) start(one *Server) {
	if s.ctx == nil {
		return
	}
	var ctx context.Context
	ctx, one.cancel = context.WithCancel(s.ctx)
	s.group.Go(func() {
		defer close(one.over)
		one.run(ctx)
	})
}

// run has all servers driven, those as well that come, until ctx ends.
func (s *servers) run(ctx context.Context) {
	s.mu.Lock()
	s.ctx = ctx
	for _, one := range s.all() {
		s.start(one)
	}
	s.mu.Unlock()
	<-ctx.Done()
	s.mu.Lock()
	s.ctx = nil
	s.mu.Unlock()
	s.group.Wait()
}

// Add returns the Server of cfg, nil if nothing of it is to be kept. Nothing is asked or
// written of it before Begin.
func (s *State) Add(cfg *config.ServerConfig) *Server {
	if !s.o.Config.State || len(cfg.State) == 0 {
		return nil
	}
	return newServer(s, cfg)
}

// Begin has the state of one, which may be nil, kept from now on. Its Link runs from then
// on; another of the same name must have ended.
func (s *State) Begin(one *Server) {
	if one == nil {
		return
	}
	s.servers.mu.Lock()
	defer s.servers.mu.Unlock()
	s.servers.set(append(slices.Clone(s.servers.all()), one))
	s.servers.start(one)
}

// End keeps the state of one, whose Link has ended, no longer. It returns once the bucket
// says that it is stale, or drainTime is over, or ctx; then its key expires. What else the
// bucket has of it stays.
func (s *State) End(ctx context.Context, one *Server) {
	if one == nil {
		return
	}
	s.drain(ctx, func(now time.Time) bool { return !one.leads(now) || one.isDrained(now) })
	s.servers.mu.Lock()
	s.servers.set(slices.DeleteFunc(slices.Clone(s.servers.all()), func(other *Server) bool { return other == one }))
	one.gone.Store(true)
	cancel := one.cancel
	s.servers.mu.Unlock()
	if cancel != nil {
		cancel()
		<-one.over
	}
}
