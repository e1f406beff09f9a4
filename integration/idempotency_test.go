package integration

import (
	"fmt"
	"testing"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
)

const keyHeader = "Ami-Idempotency-Key"

const phone = `{"Channel":"Local/1@x","Exten":"1","Context":"x","Priority":"1"}`

// repeated wants that got is the outcome of first, told again.
func repeated(t *testing.T, first, got reply) {
	t.Helper()
	if got.ActionID != first.ActionID || got.Response != first.Response || got.header.Get("Ami-Idempotent-Replay") != "true" {
		t.Errorf("a repeat got %+v %+v with %v, the first %+v", got, got.Error, got.header, first)
	}
}

func TestIdempotency_ARepeatIsNoSecondCall(t *testing.T) {
	sim, r := chaosBridge(t, amisim.Config{}, nil)
	first := r.call("pbx1", "Originate", phone, keyHeader, "k1")
	succeeds(t, first)
	if first.header.Get("Ami-Idempotent-Replay") != "" {
		t.Error("the first is told to be a repeat")
	}
	for range 3 {
		repeated(t, first, r.call("pbx1", "Originate", phone, keyHeader, "k1"))
	}
	fails(t, r.call("pbx1", "Originate", `{"Channel":"Local/2@x","Exten":"1","Context":"x","Priority":"1"}`, keyHeader, "k1"), "bad_request", "no")
	fails(t, r.call("pbx1", "QueueStatus", "", keyHeader, "k1", "Ami-Reply", "stream"), "bad_request", "no")
	if n := sim.Received("Originate"); n != 1 {
		t.Errorf("%d phones rang", n)
	}
	succeeds(t, r.call("pbx1", "Originate", phone, keyHeader, "k2"))
	succeeds(t, r.call("pbx1", "Originate", phone))
	if n := sim.Received("Originate"); n != 3 {
		t.Errorf("with another key and without one, %d calls in all", n)
	}
}

// A repeat that comes while the first is out waits for its end.
func TestIdempotency_ARepeatWaitsForTheFirst(t *testing.T) {
	sim, r := chaosBridge(t, amisim.Config{}, nil)
	came := hold(t, sim, "Originate")
	one := r.ask("pbx1", "Originate", phone, keyHeader, "k1")
	h := within(t, "the first", came)
	two := r.ask("pbx1", "Originate", phone, keyHeader, "k1")
	fails(t, r.call("pbx1", "Login", ""), "forbidden", "no") // the repeat has been seen: the endpoint is serial
	h.release <- ""
	first := r.answer(one)
	succeeds(t, first)
	repeated(t, first, r.answer(two))
	if n := sim.Received("Originate"); n != 1 {
		t.Errorf("it was sent %d times", n)
	}
}

// What nobody knows the end of is not tried again: the repeat is told so too.
func TestIdempotency_ATimeoutIsRemembered(t *testing.T) {
	t.Parallel()
	sim, r := chaosBridge(t, amisim.Config{}, nil)
	sim.Next("Originate", amisim.Ignore)
	first := r.call("pbx1", "Originate", phone, keyHeader, "k1", "Ami-Timeout", "100ms")
	for timeout := 200 * time.Millisecond; first.Error != nil && first.Error.Sent == "no"; timeout *= 2 { // until it is sent in time
		first = r.call("pbx1", "Originate", phone, keyHeader, "k1", "Ami-Timeout", timeout.String())
	}
	fails(t, first, "timeout", "unknown")
	got := r.call("pbx1", "Originate", phone, keyHeader, "k1")
	fails(t, got, "timeout", "unknown")
	if n := sim.Received("Originate"); n != 1 || got.header.Get("Ami-Idempotent-Replay") != "true" {
		t.Errorf("it was sent %d times", n)
	}
}

// What did not reach Asterisk is forgotten.
func TestIdempotency_WhatWasNotSentMayBeAskedAgain(t *testing.T) {
	sim, r := chaosBridge(t, amisim.Config{}, nil)
	down(r, sim, "pbx1")
	for range 2 {
		fails(t, r.call("pbx1", "Originate", phone, keyHeader, "k1"), "not_connected", "no")
	}
	fails(t, r.call("pbx1", "Command", `{"Command":"x"}`, keyHeader, "k1", "Ami-Validate", "loose"), "bad_request", "no")
	states := r.subscribe("ami.status.pbx1.connection")
	sim.Always(amisim.Accept, nil)
	r.await(states, 2, up)
	first := r.call("pbx1", "Originate", phone, keyHeader, "k1")
	succeeds(t, first)
	repeated(t, first, r.call("pbx1", "Originate", phone, keyHeader, "k1"))
	if n := sim.Received("Originate"); n != 1 {
		t.Errorf("it was sent %d times", n)
	}
}

// Two bridges to one Asterisk: whichever a repeat comes to, there is one call.
func TestIdempotency_AnotherBridgeKnows(t *testing.T) {
	sim, addr := startSim(t, amisim.Config{NotBooted: true})
	url := natsURL(t)
	one := startBridge(t, url, chaosConfig, chaosServer("pbx1", addr))
	two := startBridge(t, url, func(c *config.Config) { chaosConfig(c); c.Node = "b2" }, chaosServer("pbx1", addr))
	asked := func(r *running) float64 { return r.metric("actions_total", "server", "pbx1") }
	calls := 0
	for key := 0; calls < 5 || asked(one) == 0 || asked(two) == 0; key++ {
		first := one.call("pbx1", "Originate", phone, keyHeader, fmt.Sprint("k", key))
		succeeds(t, first)
		for range 4 {
			repeated(t, first, one.call("pbx1", "Originate", phone, keyHeader, fmt.Sprint("k", key)))
		}
		fails(t, one.call("pbx1", "Originate", `{"Channel":"Local/9@x"}`, keyHeader, fmt.Sprint("k", key)), "bad_request", "no")
		calls++
	}
	if n := sim.Received("Originate"); n != calls {
		t.Errorf("%d keys, %d calls", calls, n)
	}
	// One that the other bridge is still at is waited for.
	came := hold(t, sim, "Originate")
	replies := one.ask("pbx1", "Originate", phone, keyHeader, "slow")
	h := within(t, "the call", came)
	var others []func() reply
	for range 6 {
		again := one.ask("pbx1", "Originate", phone, keyHeader, "slow")
		others = append(others, func() reply { return one.answer(again) })
	}
	h.release <- ""
	first := one.answer(replies)
	for _, answer := range others {
		repeated(t, first, answer())
	}
	if n := sim.Received("Originate"); n != calls+1 {
		t.Errorf("%d calls with one more key", n-calls)
	}
}

// Without the bucket's word nothing is sent.
func TestIdempotency_NoBucketNoCall(t *testing.T) {
	sim, r := chaosBridge(t, amisim.Config{}, nil)
	bring := takeStream(t, r.nc, "KV_"+streams.KeyBucket)
	fails(t, r.call("pbx1", "Originate", phone, keyHeader, "k1"), "idempotency_unavailable", "no")
	if n := sim.Received("Originate"); n != 0 {
		t.Errorf("it was sent %d times", n)
	}
	bring()
	first := r.call("pbx1", "Originate", phone, keyHeader, "k1")
	succeeds(t, first)
	repeated(t, first, r.call("pbx1", "Originate", phone, keyHeader, "k1"))
}

func TestIdempotency_TheWindow(t *testing.T) {
	t.Parallel()
	sim, addr := startSim(t, amisim.Config{NotBooted: true})
	short := chaosServer("pbx1", addr)
	short.ActionTimeout = 9 * time.Second
	r := startBridge(t, natsURL(t), func(c *config.Config) { chaosConfig(c); c.IdempotencyWindow = 10 * time.Second }, short)
	first := r.call("pbx1", "Originate", phone, keyHeader, "k1")
	succeeds(t, first)
	eventually(t, "it is forgotten", func() bool {
		got := r.call("pbx1", "Originate", phone, keyHeader, "k1")
		succeeds(t, got)
		return got.ActionID != first.ActionID
	})
	if n := sim.Received("Originate"); n != 2 {
		t.Errorf("%d calls", n)
	}
	off := startBridge(t, natsURL(t), func(c *config.Config) { chaosConfig(c); c.Node, c.IdempotencyWindow = "b2", 0 }, chaosServer("pbx1", addr))
	fails(t, off.call("pbx1", "Originate", phone, keyHeader, "k1"), "bad_request", "no")
}
