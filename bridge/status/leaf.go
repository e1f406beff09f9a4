package status

import (
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/clock"
)

// Leaf is how the connection to the hub stands. It may be asked from any goroutine.
type Leaf struct {
	connected func() bool // nil: there is no hub
	log       *zap.Logger

	mu    sync.Mutex // protects the following
	up    bool
	since time.Time
}

// NewLeaf returns that of a leaf; connected is nil if there is none.
func NewLeaf(connected func() bool, log *zap.Logger) *Leaf {
	return &Leaf{connected: connected, log: log}
}

// LeafReport is a leaf as ami.nodes.<node> tells it.
type LeafReport struct {
	Connected bool   `json:"connected"`
	Since     string `json:"since"`
}

// Look tells how the connection stands at now, and logs when it has changed.
func (l *Leaf) Look(now time.Time) *LeafReport {
	if l.connected == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if up := l.connected(); l.since.IsZero() || up != l.up {
		l.up, l.since = up, now
		if up {
			l.log.Info("hub connected")
		} else {
			l.log.Warn("hub not connected: events wait on disk")
		}
	}
	return &LeafReport{Connected: l.up, Since: clock.Stamp(l.since)}
}
