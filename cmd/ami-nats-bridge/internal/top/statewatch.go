package top

import (
	"context"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// stateWatch is a watch of the bucket AMI_STATE, if there is one. It is for one goroutine.
type stateWatch struct {
	js      jetstream.JetStream
	watcher jetstream.KeyWatcher
	tried   time.Time
	keys    map[string]bool // that are there; false: not told yet by this watch
	begun   bool            // all that is there has been told
	bucket  WatchedBucket   // that it watches
	lastAt  time.Time       // when it brought something, or was asked whether it can
}

// updates is what the watch brings; nil, which brings nothing, without one.
func (s *stateWatch) updates() <-chan jetstream.KeyValueEntry {
	if s.watcher == nil {
		return nil
	}
	return s.watcher.Updates()
}

func (s *stateWatch) due(now time.Time) bool { return s.watcher == nil && now.Sub(s.tried) > loadAgain }

func (s *stateWatch) start(ctx context.Context) {
	s.tried = time.Now()
	asked, cancel := context.WithTimeout(ctx, loadTimeout)
	defer cancel()
	bucket, err := s.js.KeyValue(asked, "AMI_STATE")
	if err != nil {
		return // the state is off
	}
	watched, err := NewWatchedBucket(asked, bucket)
	if err != nil {
		return
	}
	if s.watcher, err = bucket.WatchAll(ctx); err != nil {
		s.watcher = nil
		return
	}
	s.begun, s.bucket, s.lastAt = false, watched, time.Now()
	for key := range s.keys {
		s.keys[key] = false
	}
}

// check ends a watch that brings nothing because the bucket is another one by now.
func (s *stateWatch) check(ctx context.Context, now time.Time) {
	if s.watcher == nil || now.Sub(s.lastAt) < WatchQuiet {
		return
	}
	s.lastAt = now
	ctx, cancel := context.WithTimeout(ctx, loadTimeout)
	defer cancel()
	if s.bucket.IsGone(ctx) {
		s.stop()
	}
}

func (s *stateWatch) stop() {
	if s.watcher != nil {
		_ = s.watcher.Stop() // of a connection that is gone it fails, and has ended
		s.watcher, s.tried = nil, time.Time{}
	}
}

func (r *Reader) takeState(s *stateWatch, e jetstream.KeyValueEntry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	s.lastAt = now
	if e == nil { // all that is there has been told: the rest ended while nobody watched
		s.begun = true
		for key, there := range s.keys {
			if !there {
				r.model.State(key, nil, now)
				delete(s.keys, key)
			}
		}
		return
	}
	value := e.Value()
	if e.Operation() != jetstream.KeyValuePut {
		value = nil
		delete(s.keys, e.Key())
	} else {
		s.keys[e.Key()] = true
		if value == nil {
			value = []byte{}
		}
	}
	r.model.State(e.Key(), value, now)
}
