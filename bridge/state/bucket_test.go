package state

import (
	"testing"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// A bucket that allows no direct gets any more, for somebody has made it anew so, is read
// through its leader.
func TestBucket_WithoutDirectGets(t *testing.T) {
	b := aBucket(t)
	if _, err := b.put(t.Context(), "pbx1.server", value("b1", "live"), time.Hour, 0); err != nil {
		t.Fatal(err)
	}
	if last, err := b.last(t.Context(), "pbx1.server"); err != nil || last.node != "b1" {
		t.Fatalf("%+v, %v", last, err)
	}
	js := b.conn.Get().JS
	stream, err := js.Stream(t.Context(), streams.StateStream)
	if err != nil {
		t.Fatal(err)
	}
	changed := stream.CachedInfo().Config
	changed.AllowDirect = false
	if _, err := js.UpdateStream(t.Context(), changed); err != nil {
		t.Fatal(err)
	}
	natstest.Within(t, "it is read", func() bool {
		last, err := b.last(t.Context(), "pbx1.server")
		return err == nil && last.node == "b1"
	})
}
