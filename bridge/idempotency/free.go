package idempotency

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/journal"
)

const (
	// maxFreed bounds how many claims are looked for that may be in the bucket, each in one of
	// the places of maxKeysAwaited.
	maxFreed = 32
	// freeFor is for how long one is: the bucket may be slow, and have it later.
	freeFor = 30 * time.Second
	// freeEvery is how often.
	freeEvery = time.Second
)

// mayBeStored reports whether a claim may be in the bucket that was not acknowledged because of
// err.
func mayBeStored(err error) bool {
	_, refused := errors.AsType[*jetstream.APIError](err)
	return !refused && !errors.Is(err, nats.ErrDisconnected) && !errors.Is(err, journal.ErrEnded)
}

// free has the bucket's claim of k of that number, if it is there, be free: its request was refused
// and not sent, and another bridge would wait for it until it expires.
func (s *sharedKeys) free(k *Entry, id uint64) {
	if s.freeing.Add(1) > maxFreed {
		s.freeing.Add(-1)
		return
	}
	select {
	case s.places <- struct{}{}:
	default:
		s.freeing.Add(-1)
		return
	}
	s.work <- func(ctx context.Context) {
		defer s.freeing.Add(-1)
		ctx, cancel := context.WithTimeout(ctx, freeFor)
		defer cancel()
		ticker := time.NewTicker(freeEvery)
		defer ticker.Stop()
		for !s.isFreed(ctx, k, id) {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
		}
	}
}

// isFreed frees that claim, and reports whether there is no more to be done: it is free, or the
// key is somebody else's. One that is not there may be on its way.
func (s *sharedKeys) isFreed(ctx context.Context, k *Entry, id uint64) bool {
	last, err := s.last(ctx, k.token())
	if err != nil || last == nil || len(last.Data) == 0 {
		return false
	}
	var e bucketValue
	if json.Unmarshal(last.Data, &e) != nil {
		return true
	}
	switch {
	case e.State != "pending", e.Run == s.run && e.Claim < id: // of before
		return false
	case e.Run == s.run && e.Claim == id:
		s.store(&Entry{name: k.name, body: k.body, revision: last.Sequence}, bucketValue{State: "free"})
	}
	return true
}
