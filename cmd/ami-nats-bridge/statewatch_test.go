package main

import (
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/top"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// Who watches a bucket that is made anew is told so, and does not wait for ever.
func TestState_WatchOfABucketThatIsMadeAnew(t *testing.T) {
	nc, err := nats.Connect(natstest.Serve(t, nil).ClientURL(), nats.Timeout(patience))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(patience))
	if err != nil {
		t.Fatal(err)
	}
	made := func() jetstream.KeyValue {
		kv, err := js.CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: streams.StateBucket})
		if err != nil {
			t.Fatal(err)
		}
		return kv
	}
	kv := made()
	put(t, kv, "pbx1.channel.1", "{}")
	bucket, err := top.NewWatchedBucket(t.Context(), kv)
	if err != nil {
		t.Fatal(err)
	}
	watcher, err := kv.WatchAll(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := upNow(t.Context(), watcher); err != nil {
		t.Fatal(err)
	}
	if err := js.DeleteKeyValue(t.Context(), streams.StateBucket); err != nil {
		t.Fatal(err)
	}
	made()
	err = new(stateCmd).changes(t.Context(), watcher, &bucket, 10*time.Millisecond, func(e jetstream.KeyValueEntry) error { return nil })
	if err == nil || !strings.Contains(err.Error(), "begin anew") {
		t.Errorf("%v", err)
	}
}
