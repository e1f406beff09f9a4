package state

import (
	"context"
	"time"

	"go.uber.org/zap"
)

// drive does what is due of the server, and waits for nothing. What takes its time, a list that
// has come and what there is to ask the bucket, a goroutine does that ends with it, on ctx;
// nothing else is done meanwhile.
func (s *Server) drive(ctx context.Context, now time.Time) {
	if s.waiting.Load() {
		return
	}
	woken, end := s.woken.Swap(false), s.end.Swap(nil)
	if end == nil && !(s.mayHold() && s.holds(woken, now)) {
		s.lists(now)
		return
	}
	s.waiting.Store(true)
	asking, stop := context.WithCancel(ctx)
	s.stop = stop
	s.asking.Go(func() {
		defer stop()
		if end != nil {
			s.ended(*end)
		}
		if s.mayHold() {
			s.hold(asking)
		}
		s.lists(time.Now())
		if s.waiting.Store(false); s.woken.Load() { // while it was not driven
			s.wakeUp()
		}
	})
}

func (s *Server) mayHold() bool { return s.mayLead() && s.state.o.Conn.Up() }

// holds reports whether the bucket is to be written or asked now. The server's value is made only
// if it may be another: a kind that is full alone is in it no sooner than with the next write.
func (s *Server) holds(woken bool, now time.Time) bool {
	if !woken && !s.holder.isDue(s.value, now) && now.Before(s.lookAt) {
		return false
	}
	changes := s.changes.Load()
	s.say(now)
	if s.holder.isDue(s.value, now) || s.left != toPurge && s.leads(now) && !now.Before(s.lookAt) {
		return true
	}
	if s.holder.says(s.value) {
		s.written.Store(changes)
	}
	return false
}

// say makes the server's value. What is up is known only if the bucket takes what changes.
func (s *Server) say(now time.Time) {
	knows := s.knows && !s.state.writer.isBehind(now)
	s.value = s.present.AppendServer(s.value[:0], s.state.o.Config.Node, knows, now)
}

// hold writes or awaits the server's key, and looks at what the bucket has from before, and
// now and then at what came late.
func (s *Server) hold(ctx context.Context) {
	changes := s.changes.Load()
	s.say(time.Now())
	before := s.holder.elsewhere()
	if now := time.Now(); s.holder.keep(ctx, s.state.bucket, s.value, s.log) {
		s.left, s.knows, s.lookAt, s.lookSpan, s.trySpan = toList, false, now, 0, 0
		s.present.Again(now)
		s.present.Rewrite(now)
	} else if s.left == "" && !now.Before(s.lookAt) {
		s.left = toList
	}
	if s.holder.says(s.value) {
		s.written.Store(changes)
	}
	if s.holder.elsewhere() != before {
		s.state.tell()
	}
	if now := time.Now(); s.left == toList && !now.Before(s.lookAt) && s.leads(now) {
		s.takeUp(ctx)
	}
}

// takeUp finds what the bucket has: of another bridge, or of this node's last process.
func (s *Server) takeUp(ctx context.Context) {
	s.present.Look()
	all, err := s.state.bucket.keys(ctx, s.cfg.Name, leftFactor*s.cfg.StateMaxObjects, func(key string, revision uint64, ended bool) {
		s.present.Found(key, revision, ended, time.Now())
	})
	switch {
	case err != nil:
		s.trySpan = min(max(tryAgain, 2*s.trySpan), longestTry)
		s.lookAt = time.Now().Add(s.trySpan)
		if err.Error() != s.failed {
			s.failed = err.Error()
			s.log.Warn("state: what the bucket has was not read", zap.Error(err))
		}
		return
	case !all:
		s.log.Warn("state: the bucket has more keys of the server than are looked at", zap.Int("keys", leftFactor*s.cfg.StateMaxObjects))
	default:
		s.present.Looked(time.Now())
	}
	s.left, s.trySpan, s.failed = toPurge, 0, ""
	s.lookSpan = min(max(lookAgain, 2*s.lookSpan), s.cfg.StateResync)
	s.lookAt = time.Now().Add(s.lookSpan)
}
