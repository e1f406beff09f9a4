package status

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/clock"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/subject"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/natsconn"
)

// Publisher publishes the bridge's own state on its goroutine, Run. Every change goes out while NATS
// takes them; of those that wait, once there are maxWaiting, only the
// newest of each kind is kept. So it is bounded by the number of kinds, and
// whoever publishes never waits.
type Publisher struct {
	conn    *natsconn.Conn
	observe func(subject string, body []byte)
	log     *zap.Logger
	wake    chan struct{} // of capacity 1: something is to be published
	changed chan struct{} // of capacity 1: a buffer is to be looked at
	again   chan struct{} // of capacity 1: all is to be told, before the interval is over

	mu      sync.Mutex // protects the following
	waiting []message
	count   map[subject.Key]int     // of those that wait
	number  uint64                  // of the last that was handed over
	last    map[subject.Key]message // what was published last, but for what the next interval tells
}

type message struct {
	key    subject.Key
	body   []byte
	number uint64  // in the order in which they were handed over
	shared *Shared // nil: it is this bridge's to publish
	timely bool    // the interval triggers it
}

const maxWaiting = 256

// NewPublisher returns one that publishes by c. Each change that is handed over observe
// hears as well, NATS or not; it may be called from any goroutine and must not wait.
func NewPublisher(c *natsconn.Conn, observe func(subject string, body []byte), log *zap.Logger) *Publisher {
	return &Publisher{
		conn: c, observe: observe, log: log, last: make(map[subject.Key]message), count: make(map[subject.Key]int),
		wake: make(chan struct{}, 1), changed: make(chan struct{}, 1), again: make(chan struct{}, 1),
	}
}

// Notify has Run call look. It may be called from any goroutine and does
// not wait.
func (s *Publisher) Notify() { clock.Raise(s.changed) }

// Publish hands over the newest state of key, which is encoded as JSON. It may be
// called from any goroutine and does not wait.
func (s *Publisher) Publish(key subject.Key, state any) { s.publish(key, state, nil, triggerChange) }

// PublishWhile is Publish of what goes out only while speaks reports so. It is observed all the same.
func (s *Publisher) PublishWhile(key subject.Key, state any, speaks func() bool) {
	s.publish(key, state, &Shared{Speaks: speaks, Sure: func() bool { return true }}, triggerChange)
}

// publish is Publish, of a server that others may share. What the interval triggers tells
// nothing that is not known, and is not observed.
func (s *Publisher) publish(key subject.Key, state any, shared *Shared, trigger string) {
	body, err := json.Marshal(state)
	if err != nil {
		s.log.Error("status not encoded", zap.String("subject", key.Subject), zap.Error(err))
		return
	}
	s.mu.Lock()
	s.number++
	s.add(message{key, body, s.number, shared, trigger == triggerInterval})
	s.mu.Unlock()
	if trigger != triggerInterval {
		s.observe(key.Subject, body)
	}
	s.signal()
}

func (s *Publisher) add(m message) {
	if len(s.waiting) >= maxWaiting && s.count[m.key] > 0 {
		s.waiting = slices.DeleteFunc(s.waiting, func(older message) bool { return older.key == m.key })
		delete(s.count, m.key)
	}
	s.waiting = append(s.waiting, m)
	s.count[m.key]++
}

// take takes the i'th out of those that wait: most often the first of a thousand.
func (s *Publisher) take(i int) (m message) {
	m, s.waiting[i] = s.waiting[i], m
	if s.count[m.key]--; s.count[m.key] == 0 {
		delete(s.count, m.key)
	}
	if i == 0 {
		s.waiting = s.waiting[1:]
	} else {
		s.waiting = slices.Delete(s.waiting, i, i+1)
	}
	return m
}

// withdraw forgets what was handed over for subjects that begin so.
func (s *Publisher) withdraw(prefix string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting = slices.DeleteFunc(s.waiting, func(m message) bool { return strings.HasPrefix(m.key.Subject, prefix) })
	maps.DeleteFunc(s.count, func(key subject.Key, _ int) bool { return strings.HasPrefix(key.Subject, prefix) })
	maps.DeleteFunc(s.last, func(key subject.Key, _ message) bool { return strings.HasPrefix(key.Subject, prefix) })
}

func (s *Publisher) signal() { clock.Raise(s.wake) }

// Repeat has the last change of everything published once more, in order and before
// what waits, and then all as it is, as at an interval, so that the last on each subject
// is the newest: nobody knows what was lost with a connection that broke. It is called
// when there is another one, from any goroutine.
func (s *Publisher) Repeat() {
	s.mu.Lock()
	newer := make(map[subject.Key]bool, len(s.waiting))
	for _, m := range s.waiting {
		newer[m.key] = true
	}
	var lost []message
	for key, m := range s.last {
		if !newer[key] {
			lost = append(lost, m)
			s.count[key]++
		}
	}
	slices.SortFunc(lost, func(a, b message) int { return cmp.Compare(a.number, b.number) })
	s.waiting = append(lost, s.waiting...)
	s.mu.Unlock()
	clock.Raise(s.again)
}

// Run publishes what is handed over until ctx ends, and then the rest once more. It
// calls tick at each interval and after Repeat, and look after Notify: both run on this
// goroutine.
func (s *Publisher) Run(ctx context.Context, interval time.Duration, tick, look func()) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			s.Flush()
			return
		case <-ticker.C:
			tick()
			s.Flush()
		case <-s.again:
			tick()
			s.Flush()
		case <-s.changed:
			look()
			s.Flush()
		case <-s.wake:
			s.Flush()
		}
	}
}

// next takes the oldest message that waits and may be published. One of a server that
// another bridge speaks for is forgotten, and one of which that is not known waits.
func (s *Publisher) next() (m message, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := 0; i < len(s.waiting); {
		if shared := s.waiting[i].shared; shared != nil && shared.Speaks() && !shared.Sure() {
			i++
			continue
		}
		m = s.take(i)
		speaks := m.shared == nil || m.shared.Speaks()
		if speaks && !m.timely {
			s.last[m.key] = m
		} else {
			delete(s.last, m.key)
		}
		if speaks {
			return m, true
		}
	}
	return m, false
}

// Flush publishes what waits, in order. What NATS does not take is kept for the
// next time. It is for the goroutine of Run, or for after its end.
func (s *Publisher) Flush() {
	for s.conn.Up() {
		m, ok := s.next()
		if !ok {
			return
		}
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
