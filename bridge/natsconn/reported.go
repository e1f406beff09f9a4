package natsconn

import (
	"sync"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// maxSeen bounds what is remembered: all is forgotten when there is more.
const maxSeen = 64

// reported remembers which errors were logged, so that one that comes with each
// try is logged once. The zero value is ready, and safe for concurrent use.
type reported struct {
	mu    sync.Mutex
	texts map[string]bool
}

// level returns the level to log err at: debug if it was logged already.
func (s *reported) level(first zapcore.Level, err error) zapcore.Level {
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
func (s *reported) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.texts)
}
