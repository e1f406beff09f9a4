package bridge

import (
	"sync"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

const (
	// firstSum is how long the log says nothing more of a count once it has told of
	// it, longestSum how long at the most.
	firstSum   = 10 * time.Second
	longestSum = 10 * time.Minute
)

// sum says when the log tells that a count has grown: at once, then after waits
// that double while it grows on. So an hour of losses is a dozen lines, that tell of
// them all. It is the status goroutine's own.
type sum struct {
	told uint64
	at   time.Time // when it was told, or had not grown
	next time.Time // nothing is told before
	wait time.Duration
}

// due returns by how much total has grown and since when, if that is to be told
// now; else 0.
func (s *sum) due(total uint64, now time.Time) (n uint64, since time.Time) {
	n, since = total-s.told, s.at
	switch {
	case n == 0:
		s.at = now
		if !now.Before(s.next) {
			s.wait = 0
		}
		return 0, since
	case now.Before(s.next):
		return 0, since
	}
	s.wait = min(max(2*s.wait, firstSum), longestSum)
	s.told, s.at, s.next = total, now, now.Add(s.wait)
	return n, since
}

// end has what is not told yet be told the next time.
func (s *sum) end() { s.next = time.Time{} }

// endSums has all counts be told that are not yet.
func (b *Bridge) endSums() {
	b.audit.told.end()
	for _, e := range b.endpoints {
		e.dropped.told.end()
	}
	for _, s := range b.servers {
		s.toldStrays.end()
		for _, told := range s.told {
			told.end()
		}
	}
}

// maxSeen bounds what is remembered: all is forgotten when there is more.
const maxSeen = 64

// seen remembers which errors the log has told of, so that one that comes with each
// try is told once. The zero value is ready, and safe for concurrent use.
type seen struct {
	mu    sync.Mutex
	texts map[string]bool
}

// level returns the level to log err at: debug if it was told already.
func (s *seen) level(first zapcore.Level, err error) zapcore.Level {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.texts[err.Error()] {
		return zap.DebugLevel
	}
	if s.texts == nil || len(s.texts) >= maxSeen {
		s.texts = make(map[string]bool)
	}
	s.texts[err.Error()] = true
	return first
}

// forget has every error be told again.
func (s *seen) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.texts)
}
