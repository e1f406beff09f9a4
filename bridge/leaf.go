package bridge

import (
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
)

// forwarded is want, a stream of events, where another stream takes them over.
// Each is kept until that one has acknowledged it and no longer. A full stream
// refuses what comes rather than drop what nobody has: the outbox holds, and
// what overflows there is a loss that is counted and told.
func forwarded(want jetstream.StreamConfig) jetstream.StreamConfig {
	want.Retention, want.Discard = jetstream.WorkQueuePolicy, jetstream.DiscardNew
	want.MaxAge, want.Duplicates = 0, duplicates(0)
	return want
}

// leaf is how the connection to the hub stands. It is for the status goroutine.
type leaf struct {
	connected func() bool // nil: there is no hub
	log       *zap.Logger

	up    bool
	since time.Time
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
	return &leafMsg{Connected: l.up, Since: stamp(l.since)}
}
