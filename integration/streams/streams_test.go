package streams

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
)

// older is a stream of events that holds one and is not as configured: before
// changes what it is made from.
func older(t *testing.T, nc *nats.Conn, before func(*jetstream.StreamConfig)) jetstream.StreamConfig {
	t.Helper()
	js := harness.JetStream(t, nc)
	cfg := jetstream.StreamConfig{
		Name: streams.EventStream, Subjects: []string{"ami.events.>", "other.>"}, Storage: jetstream.FileStorage,
		Duplicates: time.Minute, AllowDirect: true, Metadata: map[string]string{"owner": "ops"},
	}
	before(&cfg)
	stream, err := js.CreateStream(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	if cfg.NoAck { // nobody answers, so that there is nothing to wait for
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, 3*time.Second)
		defer cancel()
	}
	if _, err := js.Publish(ctx, "other.one", []byte("kept")); err != nil && !cfg.NoAck {
		t.Fatal(err)
	}
	return stream.CachedInfo().Config
}

// eventStream is the stream of events as it is now.
func eventStream(t *testing.T, nc *nats.Conn) *jetstream.StreamInfo {
	t.Helper()
	stream, err := harness.JetStream(t, nc).Stream(t.Context(), streams.EventStream)
	if err != nil {
		t.Fatal(err)
	}
	return stream.CachedInfo()
}

// What loses nothing is changed, with one line that says what; what somebody
// added stays.
func TestStreams_ManageChangesWhatLosesNothing(t *testing.T) {
	t.Parallel()
	url := harness.NATS(t)
	nc := harness.Client(t, url)
	want := older(t, nc, func(c *jetstream.StreamConfig) {
		c.MaxAge, c.MaxBytes, c.NoAck, c.MaxMsgsPerSubject = time.Hour, 1<<20, true, 5
		c.Subjects = []string{"ami.events.pbx9.>", "other.>"}
	})
	sim, addr := harness.Sim(t, amisim.Config{NotBooted: true})
	core, lines := observer.New(zapcore.InfoLevel)
	r := harness.BridgeLogging(t, zap.New(core), url, harness.ChaosConfig, harness.ChaosServer("pbx1", addr))
	if s := r.Stands(streams.EventStream, "ok"); len(s.Differences) > 0 || s.Messages == 0 {
		t.Errorf("%+v", s)
	}
	want.MaxAge, want.MaxBytes, want.NoAck, want.MaxMsgsPerSubject = 720*time.Hour, 10<<30, false, -1
	want.Duplicates, want.Compression, want.AllowBatchPublish = 2*time.Minute, jetstream.S2Compression, true
	info := eventStream(t, nc)
	ours, theirs := info.Config, want
	ours.Subjects, theirs.Subjects, ours.Metadata = nil, nil, map[string]string{"owner": ours.Metadata["owner"]}
	theirs.Metadata = map[string]string{"owner": "ops"}
	if diff := cmp.Diff(theirs, ours); diff != "" || fmt.Sprint(info.Config.Subjects) != "[other.> ami.events.>]" {
		t.Errorf("subjects %q, the rest (-want +is):\n%s", info.Config.Subjects, diff)
	}
	// What takes too long is done the next time, and has a line of its own.
	changes, late := lines.FilterMessage("stream changed"), lines.FilterMessage("stream differs from the configuration").Len()
	if n := changes.Len(); n > 1+late {
		t.Errorf("%d lines of changes, %d times it took too long", n, late)
	}
	var said strings.Builder
	for _, line := range changes.All() {
		said.WriteString(fmt.Sprint(line.ContextMap()))
	}
	for _, change := range []string{
		"subjects ami.events.pbx9.>,other.> -> ami.events.>", "no_ack true -> false", "compression none -> s2", "max_age 1h0m0s -> 720h0m0s", "max_bytes 1048576 -> 10737418240",
		"duplicate_window 1m0s -> 2m0s", "allow_batched false -> true", "max_msgs_per_subject 5 -> -1",
	} {
		if n := strings.Count(said.String(), change); n != 1 {
			t.Errorf("%q is said %d times: %s", change, n, said.String())
		}
	}
	sim.Emit("Event", "Tick")
	r.Drained("pbx1", 1)
}

// What could lose something is not changed, but told field by field; nor is
// anything with verify.
func TestStreams_NothingIsLostByAChange(t *testing.T) {
	for _, mode := range []config.Streams{config.StreamsManage, config.StreamsVerify} {
		t.Run(mode.String(), func(t *testing.T) {
			url := harness.NATS(t)
			nc := harness.Client(t, url)
			js := harness.JetStream(t, nc)
			if mode == config.StreamsVerify {
				for _, name := range []string{"status.>", "audit.>"} {
					if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{
						Name: "AMI_" + strings.ToUpper(strings.TrimSuffix(name, ".>")), Subjects: []string{"ami." + name},
					}); err != nil {
						t.Fatal(err)
					}
				}
			}
			before := older(t, nc, func(c *jetstream.StreamConfig) {
				c.Duplicates, c.Compression, c.AllowBatchPublish = 3*time.Minute, jetstream.S2Compression, mode == config.StreamsManage
				c.Storage, c.Discard, c.MaxMsgs = jetstream.MemoryStorage, jetstream.DiscardNew, -1
			})
			sim, addr := harness.Sim(t, amisim.Config{NotBooted: true})
			r := harness.Bridge(t, url, func(c *config.Config) {
				harness.ChaosConfig(c)
				c.Streams, c.Stream.MaxAge, c.Stream.MaxBytes = mode, 10*time.Minute, 1<<20
			}, harness.ChaosServer("pbx1", addr))
			s := r.Stands(streams.EventStream, "differs")
			want := "storage discard max_age max_bytes duplicate_window"
			if mode == config.StreamsVerify {
				want += " allow_batched"
			}
			if s.Fields() != want {
				t.Errorf("it differs in %s, want %s", s.Fields(), want)
			}
			for _, d := range s.Differences {
				if d.Left == "" || d.Have == d.Want || (d.Breaks == "") != strings.Contains("max_age max_bytes duplicate_window", d.Field) {
					t.Errorf("%+v", d)
				}
			}
			sim.Emit("Event", "Tick")
			r.Drained("pbx1", 1)
			info := eventStream(t, nc)
			if diff := cmp.Diff(before, info.Config); diff != "" || info.State.Msgs != 2 {
				t.Errorf("%d messages, (-before +now):\n%s", info.State.Msgs, diff)
			}
		})
	}
}

// A stream as the bridge makes it is what it wants: another bridge, and the
// next start, find nothing to change.
func TestStreams_WhatIsMadeIsAsConfigured(t *testing.T) {
	url := harness.NATS(t)
	_, addr := harness.Sim(t, amisim.Config{NotBooted: true})
	for _, mode := range []config.Streams{config.StreamsManage, config.StreamsVerify} {
		core, lines := observer.New(zapcore.InfoLevel)
		r := harness.BridgeLogging(t, zap.New(core), url, func(c *config.Config) { harness.ChaosConfig(c); c.Streams = mode }, harness.ChaosServer("pbx1", addr))
		for _, name := range []string{"actions", streams.StatusStream, streams.AuditStream, streams.StateStream, streams.EventStream, "KV_" + streams.KeyBucket} {
			if s := r.Stands(name, "ok"); len(s.Differences) > 0 || s.Error != "" {
				t.Errorf("%+v", s)
			}
		}
		if n := lines.FilterMessageSnippet("stream differs").Len() + lines.FilterMessage("stream changed").Len(); n != 0 {
			t.Errorf("%v: %v", mode, lines.All())
		}
		if err := r.Stop(); err != nil {
			t.Fatal(err)
		}
	}
}
