package top

import (
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/view"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// A bucket that is deleted and made anew is watched again, though the watch of the one before
// does not end: what is up then is seen, and what was up before is not.
func TestStateWatch_AnotherBucket(t *testing.T) {
	t.Parallel()
	_, js := natstest.Client(t, natstest.Start(t, t.TempDir(), 0).ClientURL())
	r := NewReader(ReaderOptions{Prefix: "ami", Interval: time.Hour})
	s := newStateWatch(js)
	calls := func() int { _, of := r.Calls("pbx1"); return of }
	filled := func(key string, n int) {
		bucket, err := js.CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: "AMI_STATE"})
		if err != nil {
			t.Fatal(err)
		}
		for i := range n {
			if _, err := bucket.Put(t.Context(), fmt.Sprint("pbx1.channel.", key, i), marshal(fields{"Linkedid": fmt.Sprint(key, i)})); err != nil {
				t.Fatal(err)
			}
		}
	}
	watch := func() {
		s.start(t.Context(), time.Now())
		for s.begun = false; !s.begun; {
			r.takeState(s, <-s.updates())
		}
	}
	filled("a", 20)
	watch()
	if s.check(t.Context(), time.Now().Add(2*WatchQuiet)); s.watcher == nil || calls() != 20 {
		t.Fatalf("%d calls; the bucket is the same", calls())
	}
	if err := js.DeleteKeyValue(t.Context(), "AMI_STATE"); err != nil {
		t.Fatal(err)
	}
	filled("b", 3)
	if s.check(t.Context(), time.Now()); s.watcher == nil {
		t.Error("looked at, though it has just been")
	}
	if s.check(t.Context(), time.Now().Add(4*WatchQuiet)); s.watcher != nil || !s.due(time.Now()) {
		t.Fatal("the bucket that is gone is watched")
	}
	watch()
	if calls() != 3 {
		t.Errorf("%d calls", calls())
	}
	s.stop()
}

// While JetStream does not answer, or the bucket is not there, nobody knows whether what was up is:
// it is shown as of then, though NATS and the bridge are there. It is live again by itself.
func TestStateWatch_NobodyVouches(t *testing.T) {
	t.Parallel()
	_, js := natstest.Client(t, natstest.Start(t, t.TempDir(), 0).ClientURL())
	made := func() {
		bucket, err := js.CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: "AMI_STATE"})
		if err != nil {
			t.Fatal(err)
		}
		for key, value := range map[string]fields{"pbx1.server": {"state": "live"}, "pbx1.channel.1": {"Linkedid": "1"}} {
			if _, err := bucket.Put(t.Context(), key, marshal(value)); err != nil {
				t.Fatal(err)
			}
		}
	}
	made()
	r := NewReader(ReaderOptions{Prefix: "ami", Interval: time.Hour})
	s := newStateWatch(js)
	now := time.Now()
	later := func() string {
		now = now.Add(2 * WatchQuiet)
		s.check(t.Context(), now)
		if r.watch(t.Context(), s, now); s.watcher != nil {
			for !s.begun {
				r.takeState(s, <-s.updates())
			}
		}
		p := r.model.Snapshot(now, view.NumbersNone).Servers[0].Present
		return fmt.Sprint(p.Calls, " calls, ", p.State)
	}
	if got := later(); got != "1 calls, live" {
		t.Fatal(got)
	}
	s.timeout = time.Nanosecond // by then nobody has answered
	for range 2 {
		if got := later(); got != "1 calls, stale" {
			t.Errorf("without an answer: %s", got)
		}
	}
	s.timeout = patience
	if got := later(); got != "1 calls, live" {
		t.Errorf("with an answer again: %s", got)
	}
	if err := js.DeleteKeyValue(t.Context(), "AMI_STATE"); err != nil {
		t.Fatal(err)
	}
	if got := later(); got != "1 calls, stale" {
		t.Errorf("without the bucket: %s", got)
	}
	made()
	if got := later(); got != "1 calls, live" {
		t.Errorf("with another bucket: %s", got)
	}
	s.stop()
}
