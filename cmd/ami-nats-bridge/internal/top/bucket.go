package top

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// WatchQuiet is for how long a watch of a bucket may bring nothing before it is asked whether
// the bucket is the same still. A bridge that lives writes more often.
const WatchQuiet = 10 * time.Second

// WatchedBucket knows a bucket from another one that was made anew under its name. A watch of
// the one does not end with it: nats.go goes on in the other behind the revision that it had
// last, which that may not reach for days (nats.go, Subscription.resetOrderedConsumer).
type WatchedBucket struct {
	kv   jetstream.KeyValue
	made time.Time
}

// NewWatchedBucket returns kv, which must be there, as it is before it is watched.
func NewWatchedBucket(ctx context.Context, kv jetstream.KeyValue) (WatchedBucket, error) {
	made, err := madeAt(ctx, kv)
	return WatchedBucket{kv, made}, err
}

// Is reports whether other is the same.
func (b *WatchedBucket) Is(other WatchedBucket) bool { return b.made.Equal(other.made) }

// IsGone reports whether the bucket was deleted since, be there another one or not. An error is
// that nobody answers.
func (b *WatchedBucket) IsGone(ctx context.Context) (bool, error) {
	made, err := madeAt(ctx, b.kv)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return true, nil
	}
	return err == nil && !made.Equal(b.made), err
}

func madeAt(ctx context.Context, kv jetstream.KeyValue) (time.Time, error) {
	status, err := kv.Status(ctx)
	if err != nil {
		return time.Time{}, err
	}
	about, ok := status.(*jetstream.KeyValueBucketStatus)
	if !ok {
		return time.Time{}, nil // nats.go has no other
	}
	return about.StreamInfo().Created, nil
}
