package bridge

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// What the stream holds of that which is to be sent again is released as
// published, wherever it stands, and nothing else.
func TestStored_ReleasesByIDAlone(t *testing.T) {
	type held func(e *outboxEntry) bool
	for name, test := range map[string]struct {
		held     held
		released int
		rest     []string
	}{
		"none of them":     {func(*outboxEntry) bool { return false }, 0, []string{"1", "2", "overflow:1", "3", "4"}},
		"the last alone":   {func(e *outboxEntry) bool { return e.seq == 3 }, 1, []string{"1", "2", "overflow:1", "4"}},
		"one in the midst": {func(e *outboxEntry) bool { return e.seq == 2 }, 1, []string{"1", "overflow:1", "3", "4"}},
		"all but the hole": {func(e *outboxEntry) bool { return e.seq != 2 }, 3, []string{"2", "4"}},
		"a Gap":            {func(e *outboxEntry) bool { return e.gap == 1 }, 1, []string{"1", "2", "3", "4"}},
		"all":              {func(e *outboxEntry) bool { return true }, 4, []string{"4"}},
		"not sent ever":    {func(e *outboxEntry) bool { return e.seq == 4 }, 0, []string{"1", "2", "overflow:1", "3", "4"}},
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
			o.rewind(nil, nil)
			if n := o.stored(test.held); n != test.released {
				t.Errorf("%d were released, want %d", n, test.released)
			}
			if a := o.account(); a.received != a.published+a.queued+a.inFlight {
				t.Errorf("the law does not hold: %+v", a)
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

// The doubt of all that is to be sent again is that of what was sent first, and
// reaches as far back as that of any.
func TestStored_TheOldestDoubtCounts(t *testing.T) {
	at := time.Unix(1000, 0)
	for name, doubts := range map[string][2]doubt{
		"older first":    {{at, 9}, {at.Add(time.Minute), 5}},
		"older last":     {{at.Add(time.Minute), 5}, {at, 9}},
		"both the first": {{at, 5}, {at.Add(time.Minute), 9}},
		"both the last":  {{at.Add(time.Minute), 9}, {at, 5}},
	} {
		o := testOutbox(1 << 20)
		for i, d := range doubts {
			o.push(pushed(i), nil, false)
			o.again.PushBack(o.waits.PopFront())
			o.again.At(i).doubt = &d
		}
		if all := o.doubtful(func(*outboxEntry) {}); !all.since.Equal(at) || all.after != 5 {
			t.Errorf("%s: %+v", name, all)
		}
	}
}
