package state

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/natsconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/natsconn/conntest"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// aBucket is a real bucket, as bridges of several nodes have it.
func aBucket(t *testing.T) *bucket {
	t.Helper()
	url := natstest.Start(t, t.TempDir(), 0).ClientURL()
	_, js := natstest.Client(t, url)
	if _, err := js.CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: streams.StateBucket, LimitMarkerTTL: time.Minute}); err != nil {
		t.Fatal(err)
	}
	return &bucket{conn: conntest.Open(t, url), stored: func(error) {}}
}

func value(node, state string) []byte {
	return []byte(`{"state":"` + state + `","node":"` + node + `"}`)
}

// The key is one node's. Another, and another process of the same node while this one
// lives, wait until it has expired; an earlier process of the node is followed at once.
func TestHolder_OneHasTheKey(t *testing.T) {
	b, log := aBucket(t), zap.NewNop()
	keep := func(h *holder, state string) bool {
		h.next = time.Time{}
		return h.keep(context.Background(), b, value(h.node, state), log)
	}
	first := newHolder("pbx1", "b1", 100*time.Millisecond)
	other := newHolder("pbx1", "b2", 100*time.Millisecond)
	if !keep(first, "live") || keep(other, "live") || other.elsewhere() != "b1" || other.leads(time.Now()) {
		t.Fatalf("held: %d and %d, by %q", first.revision, other.revision, other.elsewhere())
	}
	if now := time.Now(); !first.leads(now) || first.leads(now.Add(first.ttl)) {
		t.Error("a bridge that was frozen for the time to live leads")
	}
	if later := time.Now().Add(2 * first.ttl); first.deaf(time.Now()) || !first.deaf(later) || other.deaf(later) {
		t.Error("who has the key is not deaf once the bucket says nothing for longer than it lasts, or another is")
	}
	if keep(first, "stale") {
		t.Error("held anew, though it was held")
	}
	next := newHolder("pbx1", "b1", 100*time.Millisecond) // the node's next process
	if !keep(next, "syncing") {
		t.Error("not taken over from the node's last process")
	}
	if keep(first, "live") || first.leads(time.Now()) || first.elsewhere() != "b1" {
		t.Error("two processes of one node take it from each other")
	}
	natstest.Within(t, "it expires", func() bool { return keep(other, "live") })
	if other.elsewhere() != "" || !other.leads(time.Now()) {
		t.Errorf("held by %q", other.elsewhere())
	}
}

// A write that the bucket has, though nobody heard so, is this process's own.
func TestHolder_AnAcknowledgementThatWasLost(t *testing.T) {
	b, log := aBucket(t), zap.NewNop()
	h := newHolder("pbx1", "b1", time.Minute)
	if !h.keep(t.Context(), b, value("b1", "live"), log) {
		t.Fatal("not held")
	}
	if _, err := b.put(t.Context(), h.key, value("b1", "stale"), h.ttl, h.revision); err != nil {
		t.Fatal(err)
	}
	h.unsure = value("b1", "stale")
	if !h.keep(t.Context(), b, value("b1", "syncing"), log) || !h.leads(time.Now()) {
		t.Errorf("it is taken for another's: %q", h.elsewhere())
	}
}

// Whose the key is where bridges share the server the term says: who has begun to lead takes
// it at once, and who led before cannot write it any more.
func TestHolder_ALeaderTakesTheKey(t *testing.T) {
	b, log := aBucket(t), zap.NewNop()
	keep := func(h *holder) bool {
		h.next, h.led = time.Time{}, true
		return h.keep(context.Background(), b, value(h.node, "live"), log)
	}
	before, now := newHolder("pbx1", "b1", time.Hour), newHolder("pbx1", "b2", time.Hour)
	if !keep(before) || !keep(now) || !now.leads(time.Now()) {
		t.Fatalf("not taken over: held by %q", now.elsewhere())
	}
	if _, err := b.put(t.Context(), before.key, value("b1", "live"), before.ttl, before.revision); !natsconn.Overtaken(err) {
		t.Errorf("who led before still writes: %v", err)
	}
	if !keep(before) { // it leads again
		t.Error("not taken back")
	}
}

// What no bridge has written keeps nobody from the key, be it no value at all, or one that would
// never expire.
func TestHolder_WhatSomebodyWroteByHand(t *testing.T) {
	b, log := aBucket(t), zap.NewNop()
	kv, err := b.conn.Get().JS.KeyValue(t.Context(), streams.StateBucket)
	if err != nil {
		t.Fatal(err)
	}
	h := newHolder("pbx1", "b1", time.Hour)
	for _, text := range []string{"nonsense", string(value("b9", "live")), ""} {
		if _, err := kv.PutString(t.Context(), h.key, text); err != nil {
			t.Fatal(err)
		}
		h.next = time.Time{}
		if !h.keep(t.Context(), b, value("b1", "live"), log) || !h.leads(time.Now()) {
			t.Errorf("%q: it is not held, but by %q", text, h.elsewhere())
		}
	}
}
