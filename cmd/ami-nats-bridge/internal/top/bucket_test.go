package top

import (
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// A bucket that is deleted and made anew is watched again, though the watch of the one before
// does not end: what is up then is seen, and what was up before is not.
func TestStateWatch_AnotherBucket(t *testing.T) {
	t.Parallel()
	_, js := connect(t, natstest.Start(t, t.TempDir(), 0).ClientURL())
	r := NewReader(ReaderOptions{Prefix: "ami", Interval: time.Hour})
	s := &stateWatch{js: js, keys: make(map[string]bool)}
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
		s.start(t.Context())
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
