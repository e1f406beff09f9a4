package ingest

import (
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn"
)

// unread notices that a login brings no FullyBooted. Asterisk says Success whatever the user's read= holds, nothing
// included, and no question of AMI has read= for an answer; but that event follows each login that may read class system.
type unread struct {
	mu     sync.Mutex // protects the following
	login  time.Time  // which it has not followed yet; zero: it has, or no session is up that asks for it
	logged bool       // since it came last
}

func (u *unread) onSession(c amiconn.Change, asked bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.login = (time.Time{}); c.To == amiconn.StateUp && asked {
		u.login = c.At
	}
}

func (u *unread) booted() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.login, u.logged = time.Time{}, false
}

// LogUnread logs, once until it comes, that FullyBooted has not followed a login before that time. It may be
// called from any goroutine.
func (s *Source) LogUnread(before time.Time) {
	u := &s.unread
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.logged || u.login.IsZero() || u.login.After(before) {
		return
	}
	u.logged = true
	s.log.Warn("no FullyBooted came with the login: read= of the user lacks system, or is empty, or Asterisk is still starting",
		zap.Time("login", u.login))
}
