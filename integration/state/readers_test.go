package state

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
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
	url := natstest.Serve(t, func(o *natsserver.Options) {
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
		return harness.JetStream(t, nc)
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
	var stopping sync.WaitGroup
	defer stopping.Wait()
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
		// The right to delete a consumer he has not: it goes by itself, and nats.go waits for an answer.
		stopping.Go(func() { _ = watcher.Stop() })
	}
	if len(seen) != 2 || seen["pbx1.channel.1=2E1"] {
		t.Errorf("seen: %v", seen)
	}
	if _, err := kv.Get(t.Context(), "pbx1.queue.sales"); err != nil {
		t.Error(err)
	}
	if e, err := kv.Get(unanswered(t), "pbx1.channel.1=2E1"); err == nil {
		t.Errorf("he reads %s", e.Value())
	}
	for _, filters := range [][]string{{"pbx1.channel.>"}, {">"}, {"pbx1.queue.>", "pbx1.channel.>"}} {
		if _, err := kv.WatchFiltered(unanswered(t), filters); err == nil {
			t.Errorf("he may watch %q", filters)
		}
	}
	if _, err := kv.PutString(unanswered(t), "pbx1.queue.sales", "x"); err == nil || errors.Is(err, jetstream.ErrKeyNotFound) {
		t.Errorf("he may write: %v", err)
	}
}

// unanswered is for how long an answer is waited for that must not come: what is denied
// has none.
func unanswered(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	t.Cleanup(cancel)
	return ctx
}

// A queue board of deploy/nats watches several kinds at once, in a bucket of its own that
// has no others, and sees what ends.
func TestState_ABoardOfSeveralKinds(t *testing.T) {
	t.Setenv("AMI_WALLBOARD_PASSWORD", harness.Password("wallboard"))
	folder := filepath.Join(harness.Root(t), "deploy", "nats")
	s := harness.SecuredNATS(t, func(text string) string {
		return strings.Replace(text, "      { user: admin,", harness.ReadText(t, folder, "board.conf")+"      { user: admin,", 1)
	})
	sim, r, _ := s.Bridge()
	admin := harness.WatchState(t, r.Client)
	admin.Is("pbx1", "syncing", "b1") // this Asterisk does not boot
	floor := amisim.NewFloor(sim)     // a list that comes nevertheless has the channel too
	answer, err := r.Client.Request("$JS.API.STREAM.CREATE.KV_AMI_BOARD", []byte(harness.ReadText(t, folder, "KV_AMI_BOARD.json")), harness.Patience)
	if err != nil || strings.Contains(string(answer.Data), `"error"`) {
		t.Fatalf("%v, %s", err, answer.Data)
	}
	js := harness.JetStream(t, s.Connect("wallboard"))
	board, err := js.KeyValue(t.Context(), "AMI_BOARD")
	if err != nil {
		t.Fatal(err)
	}
	watcher, err := board.WatchFiltered(t.Context(), []string{"*.queue.>", "*.member.>", "*.caller.>", "*.server"})
	if err != nil {
		t.Fatal(err)
	}
	sees := func(key string, op jetstream.KeyValueOp) {
		t.Helper()
		for deadline := time.After(harness.Patience); ; {
			select {
			case e := <-watcher.Updates():
				if e != nil && e.Key() == key && e.Operation() == op {
					return
				}
			case <-deadline:
				t.Fatalf("%v of %s never came", op, key)
			}
		}
	}
	sees("pbx1.server", jetstream.KeyValuePut)
	sim.Emit("Event", "QueueMemberAdded", "Queue", "sales", "MemberName", "Zoë", "Interface", "PJSIP/a", "Status", "1")
	floor.Begin("1.1", amisim.Raised)
	sim.Emit("Event", "QueueCallerJoin", "Queue", "sales", "Position", "1", "Count", "1", "Channel", "PJSIP/1.1", "CallerIDNum", "0301", "Uniqueid", "1.1")
	sees("pbx1.member.sales.PJSIP=2Fa", jetstream.KeyValuePut)
	sees("pbx1.caller.sales.1=2E1", jetstream.KeyValuePut)
	admin.Wants("1.1")
	floor.End("1.1", amisim.Raised)
	sees("pbx1.caller.sales.1=2E1", jetstream.KeyValuePurge)
	info, err := board.Status(t.Context())
	if err != nil || info.Values() == 0 {
		t.Errorf("%v, %v", info, err)
	}
	if keys, err := board.ListKeysFiltered(unanswered(t), "*.channel.>"); err == nil {
		for key := range keys.Keys() {
			t.Errorf("the board has %s", key)
		}
	}
	if _, err := js.KeyValue(unanswered(t), streams.StateBucket); err == nil {
		t.Error("it may look into the bucket of all")
	}
	if _, err := board.PutString(unanswered(t), "pbx1.queue.sales", "x"); err == nil {
		t.Error("it may write")
	}
	if err := watcher.Stop(); err != nil {
		t.Error(err)
	}
}
