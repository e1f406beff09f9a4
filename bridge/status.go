package bridge

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/clock"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/subject"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/natsconn"
)

// status publishes the bridge's own state. Every change goes out while NATS
// takes them; of those that wait, once there are maxStatusQueue, only the
// newest of each kind is kept. So it is bounded by the number of kinds, and
// whoever publishes never waits.
type status struct {
	conn  *natsconn.Conn
	log   *zap.Logger
	wake  chan struct{} // of capacity 1: something is to be published
	alarm chan struct{} // of capacity 1: a buffer is to be looked at

	mu      sync.Mutex // protects the following
	waiting []statusMsg
	number  uint64                    // of the last that was handed over
	last    map[subject.Key]statusMsg // what was published last
}

type statusMsg struct {
	key    subject.Key
	body   []byte
	number uint64 // in the order in which they were handed over
}

const maxStatusQueue = 256

func newStatus(c *natsconn.Conn, log *zap.Logger) *status {
	return &status{
		conn: c, log: log, last: make(map[subject.Key]statusMsg),
		wake: make(chan struct{}, 1), alarm: make(chan struct{}, 1),
	}
}

// notify has the buffers be looked at. It may be called from any goroutine and does
// not wait.
func (s *status) notify() { clock.Raise(s.alarm) }

// publish hands over the newest state of key.
func (s *status) publish(key subject.Key, state any) {
	body, err := json.Marshal(state)
	if err != nil {
		s.log.Error("status not encoded", zap.String("subject", key.Subject), zap.Error(err))
		return
	}
	s.mu.Lock()
	s.number++
	s.add(statusMsg{key, body, s.number})
	s.mu.Unlock()
	s.signal()
}

func (s *status) add(m statusMsg) {
	if len(s.waiting) >= maxStatusQueue {
		s.waiting = slices.DeleteFunc(s.waiting, func(older statusMsg) bool { return older.key == m.key })
	}
	s.waiting = append(s.waiting, m)
}

func (s *status) signal() { clock.Raise(s.wake) }

// again publishes the last state of everything once more, in order and before
// what waits, so that the last on each subject is the newest: nobody knows what
// was lost with the connection that broke.
func (s *status) again() {
	s.mu.Lock()
	newer := make(map[subject.Key]bool, len(s.waiting))
	for _, m := range s.waiting {
		newer[m.key] = true
	}
	var lost []statusMsg
	for key, m := range s.last {
		if !newer[key] {
			lost = append(lost, m)
		}
	}
	slices.SortFunc(lost, func(a, b statusMsg) int { return cmp.Compare(a.number, b.number) })
	s.waiting = append(lost, s.waiting...)
	s.mu.Unlock()
	s.signal()
}

// run publishes what is handed over, what tick adds at each interval and what
// look adds after an alarm, until ctx ends; then the rest once more.
func (s *status) run(ctx context.Context, interval time.Duration, tick, look func()) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			s.flush()
			return
		case <-ticker.C:
			tick()
			s.flush()
		case <-s.alarm:
			look()
			s.flush()
		case <-s.wake:
			s.flush()
		}
	}
}

// flush publishes what waits, in order. What NATS does not take is kept for the
// next time.
func (s *status) flush() {
	for s.conn.Up() {
		s.mu.Lock()
		if len(s.waiting) == 0 {
			s.mu.Unlock()
			return
		}
		m := s.waiting[0]
		s.waiting = slices.Delete(s.waiting, 0, 1)
		s.last[m.key] = m
		s.mu.Unlock()
		err := s.conn.Publish(s.conn.Get(), &nats.Msg{Subject: m.key.Subject, Data: m.body})
		if err != nil {
			// The reconnect publishes the last of each again.
			s.log.Debug("status not published", zap.String("subject", m.key.Subject), zap.Error(err))
		}
		if err != nil && !errors.Is(err, nats.ErrMaxPayload) {
			return
		}
	}
}
