package bridge

import (
	"time"

	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/clock"
)

// leaf is how the connection to the hub stands. It is for the status goroutine.
type leaf struct {
	connected func() bool // nil: there is no hub
	log       *zap.Logger

	up    bool
	since time.Time
}

// newLeaf returns that of a leaf; connected is nil if there is none.
func newLeaf(connected func() bool, log *zap.Logger) *leaf {
	return &leaf{connected: connected, log: log}
}

// leafMsg is a leaf as ami.nodes.<node> tells it.
type leafMsg struct {
	Connected bool   `json:"connected"`
	Since     string `json:"since"`
}

// look tells how the connection stands at now, and logs when it has changed.
func (l *leaf) look(now time.Time) *leafMsg {
	if l.connected == nil {
		return nil
	}
	if up := l.connected(); l.since.IsZero() || up != l.up {
		l.up, l.since = up, now
		if up {
			l.log.Info("hub connected")
		} else {
			l.log.Warn("hub not connected: events wait on disk")
		}
	}
	return &leafMsg{Connected: l.up, Since: clock.Stamp(l.since)}
}
