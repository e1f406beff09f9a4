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
	now  atomic.Pointer[[]*Server] // not changed once made: another takes its place
	wake chan struct{}             // of capacity 1: a server is woken

	mu sync.Mutex // held while one is driven, and while one comes or goes
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

// run drives all servers, those as well that come, until ctx ends: each that is woken at
// once, and all of them each span.
func (s *servers) run(ctx context.Context, span time.Duration) {
	ticker := time.NewTicker(span)
	defer ticker.Stop()
	for all := true; ctx.Err() == nil; {
		for _, one := range s.all() {
			if all || one.woken.Load() {
				s.drive(ctx, one)
			}
		}
		all = false
		select {
		case <-ticker.C:
			all = true
		case <-s.wake:
		case <-ctx.Done():
		}
	}
	for _, one := range s.all() {
		one.asking.Wait()
	}
}

func (s *servers) drive(ctx context.Context, one *Server) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !one.gone.Load() {
		one.drive(ctx, time.Now())
	}
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
	one.wakeUp()
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
	if one.stop != nil {
		one.stop()
	}
	s.servers.mu.Unlock()
	one.asking.Wait()
}
