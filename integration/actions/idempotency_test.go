package actions

import (
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/longtest"
)

func TestIdempotency_ARepeatIsNoSecondCall(t *testing.T) {
	t.Parallel()
	sim, r := harness.ChaosBridge(t, amisim.Config{}, nil)
	first := r.Call("pbx1", "Originate", harness.Phone, harness.KeyHeader, "k1")
	harness.Succeeds(t, first)
	if first.Header.Get("Ami-Idempotent-Replay") != "" {
		t.Error("the first is told to be a repeat")
	}
	for range 3 {
		harness.Repeated(t, first, r.Call("pbx1", "Originate", harness.Phone, harness.KeyHeader, "k1"))
	}
	harness.Fails(t, r.Call("pbx1", "Originate", `{"Channel":"Local/2@x","Exten":"1","Context":"x","Priority":"1"}`, harness.KeyHeader, "k1"), "bad_request", "no")
	harness.Fails(t, r.Call("pbx1", "QueueStatus", "", harness.KeyHeader, "k1", "Ami-Reply", "stream"), "bad_request", "no")
	if n := sim.Received("Originate"); n != 1 {
		t.Errorf("%d phones rang", n)
	}
	harness.Succeeds(t, r.Call("pbx1", "Originate", harness.Phone, harness.KeyHeader, "k2"))
	harness.Succeeds(t, r.Call("pbx1", "Originate", harness.Phone))
	if n := sim.Received("Originate"); n != 3 {
		t.Errorf("with another key and without one, %d calls in all", n)
	}
}

// A repeat that comes while the first is out waits for its end.
func TestIdempotency_ARepeatWaitsForTheFirst(t *testing.T) {
	t.Parallel()
	sim, r := harness.ChaosBridge(t, amisim.Config{}, nil)
	came := harness.Hold(t, sim, "Originate")
	one := r.Ask("pbx1", "Originate", harness.Phone, harness.KeyHeader, "k1")
	h := harness.Within(t, "the first", came)
	two := r.Ask("pbx1", "Originate", harness.Phone, harness.KeyHeader, "k1")
	harness.Fails(t, r.Call("pbx1", "Login", ""), "forbidden", "no") // the repeat has been seen: the endpoint is serial
	h.Release <- ""
	first := r.Answer(one)
	harness.Succeeds(t, first)
	harness.Repeated(t, first, r.Answer(two))
	if n := sim.Received("Originate"); n != 1 {
		t.Errorf("it was sent %d times", n)
	}
}

// What nobody knows the end of is not tried again: the repeat is told so too.
func TestIdempotency_ATimeoutIsRemembered(t *testing.T) {
	t.Parallel()
	sim, r := harness.ChaosBridge(t, amisim.Config{}, nil)
	sim.Next("Originate", amisim.Ignore)
	first := r.Call("pbx1", "Originate", harness.Phone, harness.KeyHeader, "k1", "Ami-Timeout", "100ms")
	for timeout := 200 * time.Millisecond; first.Error != nil && first.Error.Sent == "no"; timeout = min(2*timeout, harness.Patience/2) { // until it is sent in time
		first = r.Call("pbx1", "Originate", harness.Phone, harness.KeyHeader, "k1", "Ami-Timeout", timeout.String())
	}
	harness.Fails(t, first, "timeout", "unknown")
	got := r.Call("pbx1", "Originate", harness.Phone, harness.KeyHeader, "k1")
	harness.Fails(t, got, "timeout", "unknown")
	if n := sim.Received("Originate"); n != 1 || got.Header.Get("Ami-Idempotent-Replay") != "true" {
		t.Errorf("it was sent %d times", n)
	}
}

// What did not reach Asterisk is forgotten.
func TestIdempotency_WhatWasNotSentMayBeAskedAgain(t *testing.T) {
	t.Parallel()
	sim, r := harness.ChaosBridge(t, amisim.Config{}, nil)
	harness.Down(r, sim, "pbx1")
	for range 2 {
		harness.Fails(t, r.Call("pbx1", "Originate", harness.Phone, harness.KeyHeader, "k1"), "not_connected", "no")
	}
	harness.Fails(t, r.Call("pbx1", "Command", `{"Command":"x"}`, harness.KeyHeader, "k1", "Ami-Validate", "loose"), "bad_request", "no")
	states := r.Subscribe("ami.status.pbx1.connection")
	sim.Always(amisim.Accept, nil)
	r.Await(states, 2, harness.SessionUp)
	first := r.Call("pbx1", "Originate", harness.Phone, harness.KeyHeader, "k1")
	harness.Succeeds(t, first)
	harness.Repeated(t, first, r.Call("pbx1", "Originate", harness.Phone, harness.KeyHeader, "k1"))
	if n := sim.Received("Originate"); n != 1 {
		t.Errorf("it was sent %d times", n)
	}
}

// Two bridges to one Asterisk: whichever a repeat comes to, there is one call.
func TestIdempotency_AnotherBridgeKnows(t *testing.T) {
	t.Parallel()
	sim, addr := harness.Sim(t, amisim.Config{NotBooted: true})
	url := harness.NATS(t)
	one := harness.Bridge(t, url, harness.ChaosConfig, harness.ChaosServer("pbx1", addr))
	two := harness.Bridge(t, url, func(c *config.Config) { harness.ChaosConfig(c); c.Node = "b2" }, harness.ChaosServer("pbx1", addr))
	asked := func(r *harness.Running) float64 { return r.Metric("actions_total", "server", "pbx1") }
	calls := 0
	for key := 0; calls < 5 || asked(one) == 0 || asked(two) == 0; key++ {
		first := one.Call("pbx1", "Originate", harness.Phone, harness.KeyHeader, fmt.Sprint("k", key))
		harness.Succeeds(t, first)
		for range 4 {
			harness.Repeated(t, first, one.Call("pbx1", "Originate", harness.Phone, harness.KeyHeader, fmt.Sprint("k", key)))
		}
		harness.Fails(t, one.Call("pbx1", "Originate", `{"Channel":"Local/9@x"}`, harness.KeyHeader, fmt.Sprint("k", key)), "bad_request", "no")
		calls++
	}
	if n := sim.Received("Originate"); n != calls {
		t.Errorf("%d keys, %d calls", calls, n)
	}
	// One that the other bridge is still at is waited for.
	came := harness.Hold(t, sim, "Originate")
	replies := one.Ask("pbx1", "Originate", harness.Phone, harness.KeyHeader, "slow")
	h := harness.Within(t, "the call", came)
	var others []func() harness.Reply
	for range 6 {
		again := one.Ask("pbx1", "Originate", harness.Phone, harness.KeyHeader, "slow")
		others = append(others, func() harness.Reply { return one.Answer(again) })
	}
	h.Release <- ""
	first := one.Answer(replies)
	for _, answer := range others {
		harness.Repeated(t, first, answer())
	}
	if n := sim.Received("Originate"); n != calls+1 {
		t.Errorf("%d calls with one more key", n-calls)
	}
}

// Without the bucket's word nothing is sent.
func TestIdempotency_NoBucketNoCall(t *testing.T) {
	t.Parallel()
	sim, r := harness.ChaosBridge(t, amisim.Config{}, nil)
	bring := harness.TakeStream(t, r.Client, "KV_"+streams.KeyBucket)
	harness.Fails(t, r.Call("pbx1", "Originate", harness.Phone, harness.KeyHeader, "k1"), "idempotency_unavailable", "no")
	if n := sim.Received("Originate"); n != 0 {
		t.Errorf("it was sent %d times", n)
	}
	bring()
	first := r.Call("pbx1", "Originate", harness.Phone, harness.KeyHeader, "k1")
	harness.Succeeds(t, first)
	harness.Repeated(t, first, r.Call("pbx1", "Originate", harness.Phone, harness.KeyHeader, "k1"))
}

func TestIdempotency_TheWindow(t *testing.T) {
	longtest.Mark(t, "a window is longer than an Action may take, which a slow machine keeps below 9 s")
	t.Parallel()
	sim, addr := harness.Sim(t, amisim.Config{NotBooted: true})
	short := harness.ChaosServer("pbx1", addr)
	short.ActionTimeout = 9 * time.Second
	r := harness.Bridge(t, harness.NATS(t), func(c *config.Config) { harness.ChaosConfig(c); c.IdempotencyWindow = 10 * time.Second }, short)
	first := r.Call("pbx1", "Originate", harness.Phone, harness.KeyHeader, "k1")
	harness.Succeeds(t, first)
	harness.Eventually(t, "it is forgotten", func() bool {
		got := r.Call("pbx1", "Originate", harness.Phone, harness.KeyHeader, "k1")
		harness.Succeeds(t, got)
		return got.ActionID != first.ActionID
	})
	if n := sim.Received("Originate"); n != 2 {
		t.Errorf("%d calls", n)
	}
	off := harness.Bridge(t, harness.NATS(t), func(c *config.Config) { harness.ChaosConfig(c); c.Node, c.IdempotencyWindow = "b2", 0 }, harness.ChaosServer("pbx1", addr))
	harness.Fails(t, off.Call("pbx1", "Originate", harness.Phone, harness.KeyHeader, "k1"), "bad_request", "no")
}

// A key that somebody has freed in the bucket, which leaves a mark there, is as good as new.
func TestIdempotency_AKeyFreedByHand(t *testing.T) {
	t.Parallel()
	sim, addr := harness.Sim(t, amisim.Config{NotBooted: true})
	url := harness.NATS(t)
	kv := func(r *harness.Running) jetstream.KeyValue {
		bucket, err := harness.JetStream(t, r.Client).KeyValue(t.Context(), streams.KeyBucket)
		if err != nil {
			t.Fatal(err)
		}
		return bucket
	}
	free := []func(r *harness.Running, key string) error{
		func(r *harness.Running, key string) error { return kv(r).Delete(t.Context(), key) },
		func(r *harness.Running, key string) error { return kv(r).Purge(t.Context(), key) },
		func(*harness.Running, string) error { return nil }, // the last bridge's outcome holds
	}
	for i, free := range free {
		r := harness.Bridge(t, url, harness.ChaosConfig, harness.ChaosServer("pbx1", addr)) // knows no key but by the bucket
		harness.Succeeds(t, r.Call("pbx1", "Originate", harness.Phone, harness.KeyHeader, "k1"))
		if n := sim.Received("Originate"); n != i+1 {
			t.Errorf("bridge %d: it was sent %d times", i, n)
		}
		if err := r.Stop(); err != nil {
			t.Fatal(err)
		}
		keys, err := kv(r).Keys(t.Context())
		if err != nil || len(keys) != 1 {
			t.Fatalf("%q, %v", keys, err)
		}
		if err := free(r, keys[0]); err != nil {
			t.Fatal(err)
		}
	}
}

// A bucket for whose values a claim is too large has the request end.
func TestIdempotency_ABucketOfSmallValues(t *testing.T) {
	t.Parallel()
	sim, addr := harness.Sim(t, amisim.Config{NotBooted: true})
	url := harness.NATS(t)
	if _, err := harness.JetStream(t, harness.Client(t, url)).CreateKeyValue(t.Context(), jetstream.KeyValueConfig{
		Bucket: streams.KeyBucket, MaxValueSize: 1,
	}); err != nil {
		t.Fatal(err)
	}
	r := harness.Bridge(t, url, func(c *config.Config) {
		harness.ChaosConfig(c)
		c.Streams, c.Audit = config.StreamsVerify, config.AuditOff
	}, harness.ChaosServer("pbx1", addr))
	harness.Fails(t, r.Call("pbx1", "Originate", harness.Phone, harness.KeyHeader, "k1"), "idempotency_unavailable", "no")
	if n := sim.Received("Originate"); n != 0 {
		t.Errorf("it was sent %d times", n)
	}
}
