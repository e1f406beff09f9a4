package bridge

import (
	"slices"

	"go.uber.org/zap"
)

// rests reports whether others read s, and this bridge has nothing to do with it.
func (s *server) rests() bool { return s.shared != nil && !s.reads.Load() && s.shared.IsPlaced() }

// place has the sessions of some servers begin and those of others end. The bridge has all
// of them still: what is on its way to NATS goes on, and so does what is known of them.
func (b *Bridge) place(begins, ends []string) {
	b.servers.changing.Lock()
	defer b.servers.changing.Unlock()
	if b.servers.over {
		return
	}
	b.log.Info("servers placed", zap.Strings("begins", begins), zap.Strings("ends", ends), zap.Int("count", len(begins)+len(ends)))
	for _, name := range ends {
		if s := named(b.servers.here(), name); s != nil && s.reads.Swap(false) {
			b.remove(s)
		}
	}
	before := b.servers.now.Load()
	here, again := slices.Clone(before.here), false
	for _, name := range begins {
		i := slices.IndexFunc(here, func(s *server) bool { return s.cfg.Name == name })
		if i < 0 || here[i].reads.Load() {
			continue // it is none of this bridge's any more
		}
		s := here[i]
		if s.end != nil { // a Link runs once
			here[i], again = b.another(s, b.servers.cfg, b.servers.cfg.ServerOf(name)), true
		}
		here[i].reads.Store(true)
	}
	b.servers.now.Store(&roster{here: here, leaving: before.leaving})
	if again {
		if err := b.actions.Has(targetsOf(here), b.servers.cfg.Groups); err != nil {
			b.log.Error("some requests do not arrive", zap.Error(err))
		}
	}
	for _, s := range here {
		if s.end == nil {
			b.begin(s)
		}
	}
}

// regroup has requests for groups come here, or not.
func (b *Bridge) regroup() {
	if err := b.actions.Subscribe(); err != nil {
		b.log.Error("some requests do not arrive", zap.Error(err))
	}
}
