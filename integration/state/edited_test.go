//go:build unix

package state

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
)

// A bucket that somebody has made anew with fewer keys is made whole as soon as one of the others is
// written, not at the next look at the streams.
func TestState_ABucketOfFewerKeysIsMadeWhole(t *testing.T) {
	t.Parallel()
	p := startPBX(t)
	r := stated(t, "b1", harness.NATS(t), p, nil)
	p.Begin("1.1", amisim.Raised)
	harness.WatchState(t, r.Client).Wants("1.1")
	js, fewer := bucketConfig(t, r)
	fewer.Subjects = []string{"$KV." + streams.StateBucket + ".pbx2.>"}
	began := time.Now()
	harness.Eventually(t, "it is made anew", func() bool {
		_ = js.DeleteStream(t.Context(), streams.StateStream)
		_, err := js.CreateStream(t.Context(), fewer)
		return err == nil // else the bridge was faster
	})
	harness.WatchState(t, r.Client).Wants("1.1")
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("it took %v: that is the interval", took)
	}
}

// A bucket that refuses what changes is not said to be well.
func TestState_ABucketThatRefusesChangesIsFull(t *testing.T) {
	t.Parallel()
	r := stated(t, "b1", harness.NATS(t), startPBX(t), nil)
	r.Stands(streams.StateStream, "ok")
	edit := func(refuse bool) {
		editBucket(t, r, func(c *jetstream.StreamConfig) { c.DiscardNewPerSubject = refuse })
	}
	edit(true)
	r.Stands(streams.StateStream, "full")
	edit(false)
	r.Stands(streams.StateStream, "ok")
}

// bucketConfig returns how the bucket is configured now.
func bucketConfig(t *testing.T, r *harness.Running) (jetstream.JetStream, jetstream.StreamConfig) {
	t.Helper()
	js := harness.JetStream(t, r.Client)
	stream, err := js.Stream(t.Context(), streams.StateStream)
	if err != nil {
		t.Fatal(err)
	}
	return js, stream.CachedInfo().Config
}

// editBucket changes the bucket's stream by hand.
func editBucket(t *testing.T, r *harness.Running, change func(*jetstream.StreamConfig)) {
	t.Helper()
	js, c := bucketConfig(t, r)
	change(&c)
	if _, err := js.UpdateStream(t.Context(), c); err != nil {
		t.Fatal(err)
	}
}
