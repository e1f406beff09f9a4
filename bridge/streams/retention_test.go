package streams

import (
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/natsconn/conntest"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// A stream that keeps nothing without a consumer acknowledges all the same: each message is lost, and
// counts as stored. That is taken back, as losing nothing. From workqueue nats-server goes nowhere.
func TestStreams_AStreamThatKeepsNothingIsChanged(t *testing.T) {
	url := natstest.Start(t, t.TempDir(), 0).ClientURL()
	_, js := natstest.Client(t, url)
	cfg := config.DefaultConfig()
	k := testStreams(&cfg, conntest.Open(t, url))
	k.Check(t.Context())
	for _, want := range wantedStreams(&cfg, batchLevel) {
		want.Retention = jetstream.InterestPolicy
		if _, err := js.UpdateStream(t.Context(), want); err != nil {
			t.Fatal(err)
		}
	}
	k.Check(t.Context())
	for _, want := range wantedStreams(&cfg, batchLevel) {
		k.is(t, want.Name, OK)
		if stream, err := js.Stream(t.Context(), want.Name); err != nil || stream.CachedInfo().Config.Retention != jetstream.LimitsPolicy {
			t.Errorf("%s: %v", want.Name, err)
		}
	}
	want := wantedStreams(&cfg, batchLevel)[0]
	have := want
	have.Retention = jetstream.WorkQueuePolicy
	if diffs := differences(have, want); len(diffs) != 1 || diffs[0].Left != leftFixed || !diffs[0].Loses {
		t.Errorf("%+v", diffs)
	}
}
