package top

import (
	"context"
	"strings"
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
	frozen  bool            // it has been told that nobody vouches for what is there
	timeout time.Duration   // of a question to the bucket
}

func newStateWatch(js jetstream.JetStream) *stateWatch {
	return &stateWatch{js: js, keys: make(map[string]bool), timeout: loadTimeout}
}

// updates is what the watch brings; nil, which brings nothing, without one.
func (s *stateWatch) updates() <-chan jetstream.KeyValueEntry {
	if s.watcher == nil {
		return nil
	}
	return s.watcher.Updates()
}

func (s *stateWatch) due(now time.Time) bool { return s.watcher == nil && now.Sub(s.tried) > loadAgain }

func (s *stateWatch) start(ctx context.Context, now time.Time) {
	s.tried = now
	asked, cancel := context.WithTimeout(ctx, s.timeout)
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
	s.begun, s.frozen, s.bucket, s.lastAt = false, false, watched, now
	for key := range s.keys {
		s.keys[key] = false
	}
}

// check ends a watch that brings nothing because the bucket is another one by now, or nobody
// answers: what ended meanwhile is told only to a new watch.
func (s *stateWatch) check(ctx context.Context, now time.Time) {
	if s.watcher == nil || now.Sub(s.lastAt) < WatchQuiet {
		return
	}
	s.lastAt = now
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	gone, err := s.bucket.IsGone(ctx)
	if gone || err != nil {
		s.stop()
	}
	if err != nil {
		s.tried = now // it has just been
	}
}

func (s *stateWatch) stop() {
	if s.watcher != nil {
		_ = s.watcher.Stop() // of a connection that is gone it fails, and has ended
		s.watcher, s.tried = nil, time.Time{}
	}
}

// watch begins a watch if there is none. Where there can be none, nobody vouches for what was up:
// it is as it was, and shown so.
func (r *Reader) watch(ctx context.Context, s *stateWatch, now time.Time) {
	if s.due(now) {
		s.start(ctx, now)
	}
	if s.watcher != nil || s.frozen {
		return
	}
	s.frozen = true
	r.mu.Lock()
	defer r.mu.Unlock()
	for key := range s.keys {
		if strings.HasSuffix(key, ".server") {
			r.model.State(key, nil, now)
		}
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
