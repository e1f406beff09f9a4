package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/top"
)

const (
	// bucketAgain is how soon a bucket that does not answer is asked again.
	bucketAgain = 2 * time.Second
	// bucketTimeout bounds a question to it.
	bucketTimeout = 5 * time.Second
)

// stateChanges shows what changes in the bucket behind what was shown. A watch that may have missed
// something, for NATS or the bucket was away, is begun anew: then what is otherwise than it was shown
// is shown, and what is not up any more.
type stateChanges struct {
	js      jetstream.JetStream
	up      func() bool // NATS is there
	filters []string
	show    func(jetstream.KeyValueEntry) error
	note    func(string)    // says how far what is shown is to be believed
	back    <-chan struct{} // NATS was away and is back
	quiet   time.Duration   // without a change, until it is asked whether there can be any
	again   time.Duration   // bucketAgain

	bucket  top.WatchedBucket
	watcher jetstream.KeyWatcher
	shown   map[string]uint64 // what is up as it was shown, by revision
	seen    map[string]bool   // of these, in a watch that has not told all yet; nil: it has
	lost    bool              // it was said that nobody answers
	changes int               // that were shown
}

// begin begins to watch, and stays the one that it was where that fails.
func (s *stateChanges) begin(ctx context.Context) error {
	asked, cancel := context.WithTimeout(ctx, bucketTimeout)
	defer cancel()
	kv, err := openState(asked, s.js)
	if err != nil {
		return err
	}
	bucket, err := top.NewWatchedBucket(asked, kv)
	if err != nil {
		return fmt.Errorf("the bucket %s: %w", streams.StateBucket, err)
	}
	watcher, err := kv.WatchFiltered(ctx, slices.Clone(s.filters)) // nats.go changes them
	if err != nil {
		return fmt.Errorf("watch the bucket: %w", err)
	}
	if !bucket.Is(s.bucket) { // its revisions are others
		for key := range s.shown {
			s.shown[key] = 0
		}
	}
	s.bucket, s.watcher, s.seen = bucket, watcher, map[string]bool{}
	return nil
}

// have takes up as what was shown.
func (s *stateChanges) have(up []jetstream.KeyValueEntry) {
	s.shown, s.seen = make(map[string]uint64, len(up)), nil
	for _, e := range up {
		s.shown[e.Key()] = e.Revision()
	}
}

func (s *stateChanges) end() {
	if s.watcher != nil {
		_ = s.watcher.Stop() // of a connection that is gone it fails, and has ended
		s.watcher = nil
	}
}

// run shows changes until ctx ends, or as many as count were shown, if it is not 0.
func (s *stateChanges) run(ctx context.Context, count int) error {
	look := time.NewTimer(s.quiet)
	defer look.Stop()
	for count <= 0 || s.changes < count {
		var updates <-chan jetstream.KeyValueEntry
		wait := s.again
		if s.watcher != nil {
			updates, wait = s.watcher.Updates(), s.quiet
		}
		look.Reset(wait)
		select {
		case e, open := <-updates:
			if !open {
				s.renew(ctx)
			} else if err := s.take(e); err != nil {
				return err
			}
		case <-s.back:
			s.renew(ctx)
		case <-look.C:
			s.check(ctx)
		case <-ctx.Done():
			return nil
		}
	}
	return nil
}

// check looks whether there can be changes.
func (s *stateChanges) check(ctx context.Context) {
	if s.watcher != nil {
		asked, cancel := context.WithTimeout(ctx, bucketTimeout)
		defer cancel()
		if gone, err := s.bucket.IsGone(asked); !gone && err == nil {
			return
		}
	}
	s.renew(ctx)
}

// renew begins the watch anew, or says that it cannot.
func (s *stateChanges) renew(ctx context.Context) {
	s.end()
	if !s.up() {
		return // that is said, and when it is back
	}
	err := s.begin(ctx)
	switch {
	case ctx.Err() != nil:
	case err != nil && !s.lost:
		s.lost = true
		s.note(fmt.Sprintf("%v; what was shown may have changed since, it is tried again", err))
	case err == nil && s.lost:
		s.lost = false
		s.note("the bucket is read again")
	}
}

// take shows e, if that is news; nil is that all has been told that was up when the watch began.
func (s *stateChanges) take(e jetstream.KeyValueEntry) error {
	if e == nil {
		seen := s.seen
		s.seen = nil
		for _, key := range slices.Sorted(maps.Keys(s.shown)) {
			if seen != nil && !seen[key] {
				if err := s.change(endedKey{key: key, at: time.Now()}); err != nil {
					return err
				}
			}
		}
		return nil
	}
	revision, up := s.shown[e.Key()]
	switch is := e.Operation() == jetstream.KeyValuePut; {
	case s.seen == nil:
	case is:
		s.seen[e.Key()] = true
		if up && revision == e.Revision() {
			return nil
		}
	case !up:
		return nil
	}
	return s.change(e)
}

// change shows e.
func (s *stateChanges) change(e jetstream.KeyValueEntry) error {
	if e.Operation() == jetstream.KeyValuePut {
		s.shown[e.Key()] = e.Revision()
	} else {
		delete(s.shown, e.Key())
	}
	s.changes++
	return s.show(e)
}

// endedKey is a key that has ended while nobody watched.
type endedKey struct {
	jetstream.KeyValueEntry
	key string
	at  time.Time
}

// Key implements jetstream.KeyValueEntry, and so do the following.
func (e endedKey) Key() string { return e.key }

// Value is none.
func (endedKey) Value() []byte { return nil }

// Created is when it was seen that it is gone.
func (e endedKey) Created() time.Time { return e.at }

// Operation is the end.
func (endedKey) Operation() jetstream.KeyValueOp { return jetstream.KeyValuePurge }
