package bridge

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// What the stream holds of that which is to be sent again is released as
// published, and nothing behind it.
func TestStored_ReleasesUpToTheLastInTheStream(t *testing.T) {
	for name, test := range map[string]struct {
		last     func(e *outboxEntry) bool
		released int
		rest     []string
	}{
		"none of them":  {func(*outboxEntry) bool { return false }, 0, []string{"1", "2", "overflow:1", "3", "4"}},
		"an event":      {func(e *outboxEntry) bool { return e.seq == 2 }, 2, []string{"overflow:1", "3", "4"}},
		"a Gap":         {func(e *outboxEntry) bool { return e.gap == 1 }, 3, []string{"3", "4"}},
		"all":           {func(e *outboxEntry) bool { return e.seq == 3 }, 4, []string{"4"}},
		"not sent ever": {func(e *outboxEntry) bool { return e.seq == 4 }, 0, []string{"1", "2", "overflow:1", "3", "4"}},
	} {
		t.Run(name, func(t *testing.T) {
			o := testOutbox(1 << 20)
			o.push(pushed(1), []byte("1"), false)
			o.push(pushed(2), []byte("2"), false)
			hole := &gap{reason: dropOverflow}
			hole.add(1)
			o.pushGap("s", hole)
			o.push(pushed(3), []byte("3"), false)
			for range 4 {
				o.take(nil)
			}
			o.push(pushed(4), []byte("4"), false)
			o.rewind()
			if n := o.stored(test.last); n != test.released {
				t.Errorf("%d were released, want %d", n, test.released)
			}
			if a := o.account(); a.received != a.published+a.queued+a.inFlight {
				t.Errorf("the law does not hold: %+v", a)
			}
			if since := time.Unix(1, 0); o.repeating(since).IsZero() != (test.released == 4) {
				t.Errorf("repeating since %v", o.repeating(since))
			}
			if diff := cmp.Diff(test.rest, drain(t, o)); diff != "" {
				t.Error(diff)
			}
			if a := o.account(); a.bytes != 0 || a.published != 4 {
				t.Errorf("at the end %+v", a)
			}
		})
	}
}
