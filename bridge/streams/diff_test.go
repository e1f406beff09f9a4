package streams

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/natsconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/natsconn/conntest"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// What the streams are made as: what docs/streams.md says that each holds.
func TestStreams_AreWantedAsDescribed(t *testing.T) {
	cfg := config.DefaultConfig()
	cfg.Stream.Replicas, cfg.Stream.MaxBytes = 3, 1<<30
	for age, window := range map[time.Duration]time.Duration{0: 2 * time.Minute, time.Minute: time.Minute, 2 * time.Hour: 2 * time.Minute} {
		cfg.Stream.MaxAge, cfg.AuditMaxAge = age, age
		for _, s := range wantedStreams(&cfg, batchLevel) {
			most := int64(0)
			if s.Name == StatusStream || s.Name == KeyStream || s.Name == StateStream {
				most = 1
			}
			if s.Storage != jetstream.FileStorage || s.Replicas != 3 || !s.AllowDirect || s.MaxMsgsPerSubject != most || s.Retention != jetstream.LimitsPolicy {
				t.Errorf("%+v", s)
			}
			switch s.Name {
			case EventStream:
				if s.MaxAge != age || s.MaxBytes != 1<<30 || s.Duplicates != window || s.Discard != jetstream.DiscardOld ||
					s.Compression != jetstream.S2Compression || !s.AllowBatchPublish || fmt.Sprint(s.Subjects) != "[ami.events.>]" {
					t.Errorf("%+v", s)
				}
			case AuditStream:
				if s.MaxAge != age || s.Duplicates != window || s.Discard != jetstream.DiscardNew || !s.DenyDelete || !s.DenyPurge ||
					s.AllowRollup || s.Compression != jetstream.S2Compression || fmt.Sprint(s.Subjects) != "[ami.audit.>]" {
					t.Errorf("%+v", s)
				}
			case StateStream: // an end and a dead bridge are told by markers, and nothing else expires
				if s.MaxAge != 0 || !s.AllowMsgTTL || s.SubjectDeleteMarkerTTL != cfg.StateMarkerAge || s.MaxBytes != int64(cfg.StateMaxBytes) ||
					s.Discard != jetstream.DiscardNew || !s.AllowRollup || s.DenyPurge || fmt.Sprint(s.Subjects) != "[$KV.AMI_STATE.>]" {
					t.Errorf("%+v", s)
				}
			case StatusStream:
				if s.MaxAge != 0 || fmt.Sprint(s.Subjects) != "[ami.status.> ami.nodes.>]" {
					t.Errorf("%+v", s)
				}
			}
		}
	}
}

// What a look at a stream shows: what keeps it from taking messages comes before
// what only differs.
func TestStreams_AreJudged(t *testing.T) {
	diffs := []Difference{{Field: "max_age"}}
	info := func(change func(*jetstream.StreamInfo)) *jetstream.StreamInfo {
		i := &jetstream.StreamInfo{Cluster: &jetstream.ClusterInfo{Name: "c", Leader: "n1"}}
		i.State.Msgs, i.State.Bytes = 10, 1000
		change(i)
		return i
	}
	for name, test := range map[string]struct {
		info *jetstream.StreamInfo
		want State
	}{
		"differs":    {info(func(*jetstream.StreamInfo) {}), Differs},
		"no cluster": {info(func(i *jetstream.StreamInfo) { i.Cluster = nil }), Differs},
		"no leader":  {info(func(i *jetstream.StreamInfo) { i.Cluster.Leader = "" }), Unavailable},
		"sealed":     {info(func(i *jetstream.StreamInfo) { i.Config.Sealed = true }), ReadOnly},
		"a mirror":   {info(func(i *jetstream.StreamInfo) { i.Config.Mirror = &jetstream.StreamSource{Name: "X"} }), ReadOnly},
		"full of bytes": {info(func(i *jetstream.StreamInfo) {
			i.Config.Discard, i.Config.MaxBytes = jetstream.DiscardNew, 1099
		}), Full},
		"room for one": {info(func(i *jetstream.StreamInfo) {
			i.Config.Discard, i.Config.MaxBytes = jetstream.DiscardNew, 1100
		}), Differs},
		"full of messages": {info(func(i *jetstream.StreamInfo) {
			i.Config.Discard, i.Config.MaxMsgs = jetstream.DiscardNew, 10
		}), Full},
		"drops its oldest": {info(func(i *jetstream.StreamInfo) { i.Config.MaxBytes, i.Config.MaxMsgs = 1000, 10 }), Differs},
	} {
		f := stateOf(test.info, diffs)
		if f.state != test.want || (f.err == nil) != test.want.There() || f.messages != 10 || f.bytes != 1000 || len(f.diffs) != 1 {
			t.Errorf("%s: %+v, want %v", name, f, test.want)
		}
	}
	if f := stateOf(info(func(*jetstream.StreamInfo) {}), nil); f.state != OK {
		t.Errorf("as configured: %+v", f)
	}
}

// What an error says of a stream that was asked for, and of one that was to be
// made.
func TestStreams_WhatErrorsSay(t *testing.T) {
	for code, want := range map[jetstream.ErrorCode]State{
		10002: Full, 10023: Full, 10028: Full, 10047: Full, 10077: Full, 10120: Full, 10122: Full,
		10109: ReadOnly, 10039: NoJetStream, 10076: NoJetStream, 10059: Missing, 10060: Missing,
		10111: Differs, 10166: Differs, 10205: Differs, 10054: OK, 10065: Unavailable, 0: Unavailable,
	} {
		if got := streamStateOf(int(code)); got != want {
			t.Errorf("%d: %v, want %v", code, got, want)
		}
		made := Missing // whatever kept it from being made
		if want == NoJetStream {
			made = want
		}
		if got := notMade(&jetstream.APIError{ErrorCode: code}); got.state != made || got.err == nil {
			t.Errorf("%d: not made is %v, want %v", code, got.state, made)
		}
	}
	for _, test := range []struct {
		err  error
		want State
	}{
		{nats.ErrNoResponders, NoJetStream}, {context.DeadlineExceeded, Unavailable}, {nats.ErrTimeout, Unavailable},
		{fmt.Errorf("%w publish to x", natsconn.ErrDenied), NoPermission}, {errors.New("else"), Unavailable},
	} {
		if found, made := foundBy(test.err), notMade(test.err); found.state != test.want || made.state != test.want || found.err == nil {
			t.Errorf("%v: %v, not made is %v, want %v", test.err, found.state, made.state, test.want)
		}
	}
}

// Another difference is told as well as another state, and since when is that of
// the state.
func TestStreams_AnotherDifferenceIsTold(t *testing.T) {
	k := lookedAt(t)
	told := 0
	k.onChange = func() { told++ }
	differs := func(field string) {
		k.set(t.Context(), EventStream, finding{state: Differs, diffs: []Difference{{Field: field}}})
	}
	since := func() (since time.Time) {
		for _, r := range k.rows {
			if r.name == EventStream {
				since = r.since
			}
		}
		return since
	}
	before := since()
	for i, want := range []int{1, 1, 2, 2} {
		differs([]string{"max_age", "max_age", "max_bytes", "max_bytes"}[i])
		if told != want {
			t.Errorf("look %d: told %d times, want %d", i, told, want)
		}
		if i == 0 && !since().After(before) {
			t.Error("it differs since before")
		}
		if i == 0 {
			before = since()
		} else if !since().Equal(before) {
			t.Errorf("look %d: it is as it was, since another time", i)
		}
	}
	if !k.changed.Load() {
		t.Error("the node does not tell of it")
	}
}

// With verify nothing is made; what the stream has is what counts.
func TestStreams_VerifyMakesNothing(t *testing.T) {
	nc, js := natstest.Client(t, natstest.Start(t, t.TempDir(), 0).ClientURL())
	cfg := config.DefaultConfig()
	cfg.Streams = config.StreamsVerify
	k := testStreams(&cfg, conntest.Open(t, nc.ConnectedUrl()))
	k.batches.Store(true)
	k.Check(t.Context())
	k.is(t, EventStream, Missing)
	if _, err := js.Stream(t.Context(), EventStream); !errors.Is(err, jetstream.ErrStreamNotFound) {
		t.Errorf("it was made: %v", err)
	}
	config := jetstream.StreamConfig{Name: EventStream, Subjects: []string{"ami.events.>"}}
	if _, err := js.CreateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	k.Check(t.Context())
	k.is(t, EventStream, Differs)
	if k.batches.Load() {
		t.Error("a stream without allow_batched takes fast ingest")
	}
	for _, r := range k.States() {
		for _, d := range r.Differences {
			if d.Left == "" {
				t.Errorf("%s: %+v does not say why it is left", r.Name, d)
			}
		}
	}
	if stream, err := js.Stream(t.Context(), EventStream); err != nil || stream.CachedInfo().Config.AllowBatchPublish {
		t.Errorf("it was changed: %v", err)
	}
}

// While NATS is away, or the bridge ends, what was seen last holds.
func TestStreams_ABlindLookChangesNothing(t *testing.T) {
	k := lookedAt(t)
	k.conn = conntest.Open(t, natstest.Start(t, t.TempDir(), 0).ClientURL())
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for _, state := range []State{Missing, Unavailable, NoJetStream} {
		k.set(ended, EventStream, finding{state: state})
		k.allAre(ended, finding{state: state})
		k.is(t, EventStream, OK)
	}
	k.conn.Get().Close()
	k.set(t.Context(), EventStream, finding{state: Unavailable})
	k.allAre(t.Context(), finding{state: Unavailable})
	k.is(t, EventStream, OK)
	k.conn = conntest.Open(t, natstest.Start(t, t.TempDir(), 0).ClientURL())
	k.set(t.Context(), EventStream, finding{state: Unavailable})
	k.is(t, EventStream, Unavailable)
}

// A new connection may have other rights: a change that was refused is tried again.
func TestStreams_ANewConnectionForgetsRefusals(t *testing.T) {
	cfg := config.DefaultConfig()
	cfg.Streams = config.StreamsVerify
	k := testStreams(&cfg, conntest.Open(t, natstest.Start(t, t.TempDir(), 0).ClientURL()))
	k.Check(t.Context())
	k.refused[EventStream] = natsconn.ErrDenied
	k.Check(t.Context())
	if k.refused[EventStream] == nil {
		t.Error("forgotten on the same connection")
	}
	before := k.conn.Connected()
	if err := k.conn.Get().ForceReconnect(); err != nil {
		t.Fatal(err)
	}
	natstest.Within(t, "another connection", func() bool { return k.conn.Connected() > before && k.conn.Up() })
	k.Check(t.Context())
	if k.refused[EventStream] != nil {
		t.Error("not forgotten")
	}
}

// Each change of a state is one line in the log, as loud as it matters.
func TestStreams_AChangeIsLogged(t *testing.T) {
	nc, _ := natstest.Client(t, natstest.Start(t, t.TempDir(), 0).ClientURL())
	c := conntest.Open(t, nc.ConnectedUrl())
	for state, want := range map[State]zapcore.Level{
		Differs: zap.WarnLevel, Unavailable: zap.WarnLevel, Missing: zap.ErrorLevel, Full: zap.ErrorLevel,
		ReadOnly: zap.ErrorLevel, NoPermission: zap.ErrorLevel, NoJetStream: zap.ErrorLevel, Captured: zap.ErrorLevel,
	} {
		k := lookedAt(t)
		k.conn = c
		core, logs := observer.New(zap.InfoLevel)
		k.log = zap.New(core)
		for range 3 {
			k.set(t.Context(), EventStream, finding{state: state, err: errors.New("why")})
		}
		k.set(t.Context(), EventStream, finding{state: OK})
		all := logs.All()
		if len(all) != 2 || all[0].Level != want || all[0].ContextMap()["error"] != "why" || all[1].Message != "stream as configured" {
			t.Errorf("%v: %v", state, all)
		}
	}
}

// A refusal without an err_code is not a stream that is missing.
func TestAnswer_ALeaderThatIsNoneIsNotAMissingStream(t *testing.T) {
	k := lookedAt(t)
	for _, err := range []error{
		&natsconn.Refusal{Status: 503, Description: "raft: not leader"},
		&jetstream.APIError{Code: 503, Description: "raft: not leader"},
	} {
		k.Published(EventStream)
		k.Stored(EventStream, err)
		k.is(t, EventStream, Unavailable)
	}
	if text := (&natsconn.Refusal{Status: 503, Description: "raft: not leader"}).Error(); !strings.Contains(text, "raft: not leader (503)") {
		t.Errorf("it reads %s", text)
	}
}

// Whatever a publisher hears that is no acknowledgement, the streams are looked at.
func TestStreams_AreLookedAtWhenNothingIsStored(t *testing.T) {
	for name, hear := range map[string]func(*Reconciler){
		"refused":      func(k *Reconciler) { k.PublishRefused(EventStream, 10077, "maximum bytes exceeded") },
		"nobody took":  func(k *Reconciler) { k.nobodyTook(EventStream) },
		"no answer":    func(k *Reconciler) { k.Stored(EventStream, nats.ErrTimeout) },
		"disconnected": func(k *Reconciler) { k.Stored(EventStream, nats.ErrDisconnected) },
		"a new link":   func(k *Reconciler) { k.reconnected() },
	} {
		k := lookedAt(t)
		hear(k)
		if len(k.poke) != 1 {
			t.Errorf("%s: nobody looks", name)
		}
	}
}
