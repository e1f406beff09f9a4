//go:build unix

package state

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// What is taken out of the bucket without a mark, by hand or by an age, is there again after
// the next look: what does not change would else be missing for ever.
func TestState_WhatIsPurgedByHandIsWrittenAnew(t *testing.T) {
	t.Parallel()
	p := startPBX(t)
	r := stated(t, "b1", harness.NATS(t), p, func(c *config.Config) { c.Servers[0].StateResync = 200 * time.Millisecond })
	b := harness.WatchState(t, r.Client)
	p.Begin("1.1", amisim.Raised)
	p.Begin("1.2", amisim.Raised)
	b.Wants("1.1", "1.2")
	s, err := harness.JetStream(t, r.Client).Stream(t.Context(), streams.StateStream)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Purge(t.Context(), jetstream.WithPurgeSubject("$KV."+streams.StateBucket+".pbx1.channel.>")); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"pbx1.channel.1=2E1", "pbx1.channel.1=2E2"} {
		harness.Eventually(t, key, func() bool {
			_, err := b.KV.Get(t.Context(), key)
			return err == nil
		})
	}
	p.End("1.1", amisim.Raised)
	p.End("1.2", amisim.Raised)
	b.Wants()
}

// A bucket that takes nothing any more turns the state off, and another brings it back, with all
// that has changed meanwhile.
func TestState_ComesBackWithTheBucket(t *testing.T) {
	t.Parallel()
	p := startPBX(t)
	server := natstest.Serve(t, nil)
	r := stated(t, "b1", server.ClientURL(), p, nil)
	p.Begin("1.1", amisim.Raised)
	harness.WatchState(t, r.Client).Wants("1.1")
	editBucket(t, r, func(c *jetstream.StreamConfig) { c.Sealed = true })
	nodes := r.Subscribe("ami.nodes.b1")
	harness.Relook(t, server)
	r.AwaitText(nodes, `"state":{"state":"off","reason":"the bucket is read_only: `)
	p.End("1.1", amisim.Raised)
	p.Begin("1.2", amisim.Raised)
	if err := harness.JetStream(t, r.Client).DeleteStream(t.Context(), streams.StateStream); err != nil {
		t.Fatal(err)
	}
	r.AwaitText(nodes, `"state":{"state":"on"}`)
	harness.WatchState(t, r.Client).Wants("1.2")
}

// As long as nobody can say what the bucket has from before, for an account or a stream has no
// consumer left, say, the state is not live. It is said once, and mends by itself.
func TestState_IsNotLiveBeforeTheBucketIsRead(t *testing.T) {
	t.Parallel()
	p := startPBX(t)
	url := harness.NATS(t)
	js := harness.JetStream(t, harness.Client(t, url))
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{
		Name: streams.StateStream, Subjects: []string{"$KV." + streams.StateBucket + ".>"}, MaxMsgsPerSubject: 1, MaxConsumers: 1,
		Discard: jetstream.DiscardNew, AllowRollup: true, DenyDelete: true, AllowDirect: true, AllowMsgTTL: true, SubjectDeleteMarkerTTL: time.Minute,
	}); err != nil {
		t.Fatal(err)
	}
	kv, err := js.KeyValue(t.Context(), streams.StateBucket)
	if err != nil {
		t.Fatal(err)
	}
	const ghost = "pbx1.channel.9=2E9"
	if _, err := kv.Put(t.Context(), ghost, []byte(`{"Uniqueid":"9.9"}`)); err != nil {
		t.Fatal(err)
	}
	only, err := kv.Watch(t.Context(), "nobody.server")
	if err != nil {
		t.Fatal(err)
	}
	core, lines := observer.New(zapcore.WarnLevel)
	harness.BridgeLogging(t, zap.New(core), url, func(c *config.Config) {
		c.StatusInterval, c.StateInterval = 200*time.Millisecond, 20*time.Millisecond
	}, harness.Server("pbx1", p.addr, "bridge", "s3cret"))
	is := func(state string) bool {
		e, err := kv.Get(t.Context(), "pbx1.server")
		return err == nil && strings.HasPrefix(string(e.Value()), `{"state":"`+state+`"`) && strings.Contains(string(e.Value()), `"synced_at"`)
	}
	harness.Eventually(t, "all lists have come, and it is syncing", func() bool {
		if is("live") {
			t.Fatal("live, and has a channel that ended before")
		}
		return is("syncing")
	})
	if n := lines.FilterMessageSnippet("what the bucket has was not read").Len(); n != 1 {
		t.Errorf("said %d times", n)
	}
	if err := only.Stop(); err != nil {
		t.Fatal(err)
	}
	harness.Eventually(t, "live", func() bool { return is("live") })
	harness.Eventually(t, "the channel that had ended is gone", func() bool {
		_, err := kv.Get(t.Context(), ghost)
		return errors.Is(err, jetstream.ErrKeyNotFound)
	})
}

// A value that is larger than the bucket takes is missing, and holds up no other: the bucket
// takes those.
func TestState_AValueThatIsTooLargeHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	p := startPBX(t)
	url := harness.NATS(t)
	if err := stated(t, "b1", url, p, nil).Stop(); err != nil { // it has made the streams
		t.Fatal(err)
	}
	core, lines := observer.New(zapcore.InfoLevel)
	r := harness.BridgeLogging(t, zap.New(core), url, func(c *config.Config) {
		c.StatusInterval, c.StateInterval = 200*time.Millisecond, 20*time.Millisecond
		c.Streams = config.StreamsVerify // or the bridge takes the limit back
		c.Servers[0].StateResync = 200 * time.Millisecond
	}, harness.Server("pbx1", p.addr, "bridge", "s3cret"))
	b := harness.WatchState(t, r.Client)
	p.Begin("1.1", amisim.Raised)
	b.Wants("1.1")
	limit := func(bytes int32) {
		editBucket(t, r, func(c *jetstream.StreamConfig) { c.MaxMsgSize = bytes })
	}
	large := strings.Repeat("9", 900)
	limit(1100) // and the server's own key fits
	p.Begin(large, amisim.Raised)
	harness.Eventually(t, "it is refused", func() bool {
		return lines.FilterMessage("state: a value is larger than the bucket takes").Len() == 1
	})
	for range 20 {
		p.Begin("1.2", amisim.Raised)
		b.Wants("1.1", "1.2")
		p.End("1.2", amisim.Raised)
		b.Wants("1.1")
	}
	if n := lines.FilterMessageSnippet("the bucket does not take").Len(); n != 0 {
		t.Errorf("said %d times that the bucket takes nothing", n)
	}
	limit(-1)
	b.Wants("1.1", large)
}
