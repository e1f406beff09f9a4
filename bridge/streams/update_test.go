package streams

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/natsconn/conntest"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// unheardOf is a field as nats-server may have it some day.
const unheardOf = `"some_day":{"count":12345678901234567890}`

// newer answers as JetStream behind url, and has unheardOf in each stream's
// configuration. It returns its URL, and the updates that it was asked for.
func newer(t *testing.T, url string) (front string, updates func() []string) {
	t.Helper()
	behind, _ := natstest.Client(t, url)
	front = natstest.Serve(t, func(o *natsserver.Options) { o.JetStream = false }).ClientURL()
	nc, _ := natstest.Client(t, front)
	var mu sync.Mutex
	var all []string
	_, err := nc.Subscribe("$JS.API.>", func(m *nats.Msg) {
		if strings.Contains(m.Subject, ".UPDATE.") {
			mu.Lock()
			all = append(all, string(m.Data))
			mu.Unlock()
		}
		// This one would refuse it.
		data := bytes.Replace(m.Data, []byte(","+unheardOf), nil, 1)
		answer, err := behind.Request(m.Subject, data, natstest.Patience)
		if err != nil {
			t.Error(err)
			return
		}
		_ = m.Respond(bytes.Replace(answer.Data, []byte(`"config":{`), []byte(`"config":{`+unheardOf+","), 1))
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	return front, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return all
	}
}

// What a newer nats-server has in a stream, and nats.go does not know, is still
// there after the bridge has changed something else.
func TestStreams_AChangeKeepsWhatIsNotKnown(t *testing.T) {
	url := natstest.Start(t, t.TempDir(), 0).ClientURL()
	_, js := natstest.Client(t, url)
	older := jetstream.StreamConfig{
		Name: EventStream, Subjects: []string{"ami.events.>"}, MaxAge: time.Hour, MaxBytes: 1 << 20, NoAck: true,
		Metadata: map[string]string{"owner": "ops"},
	}
	if _, err := js.CreateStream(t.Context(), older); err != nil {
		t.Fatal(err)
	}
	front, updates := newer(t, url)
	cfg := config.DefaultConfig()
	nc, _ := natstest.Client(t, front)
	k := testStreams(&cfg, conntest.Open(t, nc.ConnectedUrl()))
	k.Check(t.Context())
	k.is(t, EventStream, OK)
	if len(updates()) < 2 {
		t.Errorf("updates: %q", updates())
	}
	for _, update := range updates() {
		if !strings.Contains(update, unheardOf) || !strings.Contains(update, `"owner":"ops"`) {
			t.Errorf("it is lost in %s", update)
		}
	}
	stream, err := js.Stream(t.Context(), EventStream)
	if err != nil {
		t.Fatal(err)
	}
	if c := stream.CachedInfo().Config; c.NoAck || c.MaxAge != cfg.Stream.MaxAge || c.Metadata["owner"] != "ops" {
		t.Errorf("the stream is %+v", c)
	}
}

// nats-server gives a stream's limit of what is not acknowledged to the consumers too by which a bucket is read, and
// refuses them for it. Of other streams it is the operator's, and so are the other limits.
func TestStreams_TheBucketOfTheStateCanBeRead(t *testing.T) {
	url := natstest.Start(t, t.TempDir(), 0).ClientURL()
	_, js := natstest.Client(t, url)
	cfg := config.DefaultConfig()
	k := testStreams(&cfg, conntest.Open(t, url))
	k.Check(t.Context())
	limits := jetstream.StreamConsumerLimits{MaxAckPending: 10, InactiveThreshold: time.Hour}
	limit := func(name string) {
		t.Helper()
		stream, err := js.Stream(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		c := stream.CachedInfo().Config
		c.ConsumerLimits = limits
		if _, err := js.UpdateStream(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	limit(StateStream)
	limit(EventStream)
	k.cfg.Streams = config.StreamsVerify
	k.Check(t.Context())
	k.is(t, StateStream, Differs)
	k.cfg.Streams = config.StreamsManage
	k.Check(t.Context())
	for name, want := range map[string]jetstream.StreamConsumerLimits{StateStream: {InactiveThreshold: time.Hour}, EventStream: limits} {
		k.is(t, name, OK)
		stream, err := js.Stream(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		if got := stream.CachedInfo().Config.ConsumerLimits; got != want {
			t.Errorf("%s has %+v, want %+v", name, got, want)
		}
	}
	kv, err := js.KeyValue(t.Context(), StateBucket)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kv.Keys(t.Context()); !errors.Is(err, jetstream.ErrNoKeysFound) {
		t.Errorf("it is read with %v", err)
	}
}

// A field that is changed has the name that the JetStream API gives it.
func TestStreams_FieldsAreCalledAsInTheAPI(t *testing.T) {
	known := map[string]bool{}
	for f := range reflect.TypeFor[streamConfig]().Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		known[name] = true
	}
	for _, f := range streamFields {
		if !known[f.name] {
			t.Errorf("there is no %s", f.name)
		}
	}
}

// One who has made more of it meanwhile keeps that.
func TestStreams_AChangeLosesNothingThatCameMeanwhile(t *testing.T) {
	want := streamConfig{MaxAge: 2 * time.Hour}
	for have, then := range map[time.Duration]time.Duration{time.Hour: 2 * time.Hour, 3 * time.Hour: 3 * time.Hour} {
		config, err := json.Marshal(streamConfig{MaxAge: have})
		if err != nil {
			t.Fatal(err)
		}
		if config, err = patched(config, "max_age", want); err != nil {
			t.Fatal(err)
		}
		var is streamConfig
		if err := json.Unmarshal(config, &is); err != nil || is.MaxAge != then {
			t.Errorf("from %v it becomes %v (%v), want %v", have, is.MaxAge, err, then)
		}
	}
}
