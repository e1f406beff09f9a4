package state

import (
	"context"
	"errors"
	"testing"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
)

// Who has docs/state.md's rights to some kinds sees those, and no others, however he asks.
func TestState_AReaderOfSomeKinds(t *testing.T) {
	t.Parallel()
	kinds := []string{"queue", "member", "caller"}
	publish := []string{"$JS.API.STREAM.INFO.KV_AMI_STATE"}
	for _, kind := range kinds {
		publish = append(publish, "$JS.API.CONSUMER.CREATE.KV_AMI_STATE.*.$KV.AMI_STATE.*."+kind+".>",
			"$JS.API.DIRECT.GET.KV_AMI_STATE.$KV.AMI_STATE.*."+kind+".>")
	}
	url := harness.NATSWith(t, func(o *natsserver.Options) {
		o.Users = []*natsserver.User{{Username: "bridge", Password: "x"}, {Username: "wallboard", Password: "x", Permissions: &natsserver.Permissions{
			Publish: &natsserver.SubjectPermission{Allow: publish}, Subscribe: &natsserver.SubjectPermission{Allow: []string{"_INBOX_wallboard.>"}},
		}}}
	}).ClientURL()
	as := func(user string) jetstream.JetStream {
		nc, err := nats.Connect(url, nats.UserInfo(user, "x"), nats.CustomInboxPrefix("_INBOX_"+user), nats.Timeout(harness.Patience),
			nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(nc.Close)
		js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(time.Second)) // what is denied is never answered
		if err != nil {
			t.Fatal(err)
		}
		return js
	}
	written, err := as("bridge").CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: streams.StateBucket, LimitMarkerTTL: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"pbx1.queue.sales", "pbx1.caller.sales.1=2E1", "pbx1.channel.1=2E1"} {
		if _, err := written.PutString(t.Context(), key, key); err != nil {
			t.Fatal(err)
		}
	}
	kv, err := as("wallboard").KeyValue(t.Context(), streams.StateBucket)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, filter := range []string{"*.queue.>", "pbx1.caller.>"} {
		watcher, err := kv.Watch(t.Context(), filter)
		if err != nil {
			t.Fatalf("%s: %v", filter, err)
		}
		for e := range watcher.Updates() {
			if e == nil {
				break
			}
			seen[e.Key()] = true
		}
		_ = watcher.Stop() // the right to delete a consumer he has not: it goes by itself
	}
	if len(seen) != 2 || seen["pbx1.channel.1=2E1"] {
		t.Errorf("seen: %v", seen)
	}
	if _, err := kv.Get(t.Context(), "pbx1.queue.sales"); err != nil {
		t.Error(err)
	}
	if e, err := kv.Get(t.Context(), "pbx1.channel.1=2E1"); err == nil {
		t.Errorf("he reads %s", e.Value())
	}
	for _, filters := range [][]string{{"pbx1.channel.>"}, {">"}, {"pbx1.queue.>", "pbx1.channel.>"}} {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		if _, err := kv.WatchFiltered(ctx, filters); err == nil {
			t.Errorf("he may watch %q", filters)
		}
		cancel()
	}
	if _, err := kv.PutString(t.Context(), "pbx1.queue.sales", "x"); err == nil || errors.Is(err, jetstream.ErrKeyNotFound) {
		t.Errorf("he may write: %v", err)
	}
}
