package outbox

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// What the stream holds of that which is to be sent again is released as
// published, wherever it stands, and nothing else.
func TestStored_ReleasesByIDAlone(t *testing.T) {
	type held func(e *Entry) bool
	for name, test := range map[string]struct {
		held     held
		released int
		rest     []string
	}{
		"none of them":     {func(*Entry) bool { return false }, 0, []string{"1", "2", "overflow:1", "3", "4"}},
		"the last alone":   {func(e *Entry) bool { return e.Seq == 3 }, 1, []string{"1", "2", "overflow:1", "4"}},
		"one in the midst": {func(e *Entry) bool { return e.Seq == 2 }, 1, []string{"1", "overflow:1", "3", "4"}},
		"all but the hole": {func(e *Entry) bool { return e.Seq != 2 }, 3, []string{"2", "4"}},
		"a Gap":            {func(e *Entry) bool { return e.Gap == 1 }, 1, []string{"1", "2", "3", "4"}},
		"all":              {func(e *Entry) bool { return true }, 4, []string{"4"}},
		"not sent ever":    {func(e *Entry) bool { return e.Seq == 4 }, 0, []string{"1", "2", "overflow:1", "3", "4"}},
	} {
		t.Run(name, func(t *testing.T) {
			o := testOutbox(1 << 20)
			o.Push(pushed(1), []byte("1"), false)
			o.Push(pushed(2), []byte("2"), false)
			hole := &Gap{Reason: DropOverflow}
			hole.add(1)
			o.PushGap("s", hole)
			o.Push(pushed(3), []byte("3"), false)
			for range 4 {
				o.Take(nil)
			}
			o.Push(pushed(4), []byte("4"), false)
			o.Rewind(nil, nil)
			if n := o.Stored(test.held); n != test.released {
				t.Errorf("%d were released, want %d", n, test.released)
			}
			if a := o.Account(); a.Received != a.Published+a.Queued+a.InFlight {
				t.Errorf("the law does not hold: %+v", a)
			}
			if diff := cmp.Diff(test.rest, drain(t, o)); diff != "" {
				t.Error(diff)
			}
			if a := o.Account(); a.Bytes != 0 || a.Published != 4 {
				t.Errorf("at the end %+v", a)
			}
		})
	}
}

// The doubt of all that is to be sent again is that of what was sent first, and
// reaches as far back as that of any.
func TestStored_TheOldestDoubtCounts(t *testing.T) {
	at := time.Unix(1000, 0)
	for name, doubts := range map[string][2]Doubt{
		"older first":    {{at, 9}, {at.Add(time.Minute), 5}},
		"older last":     {{at.Add(time.Minute), 5}, {at, 9}},
		"both the first": {{at, 5}, {at.Add(time.Minute), 9}},
		"both the last":  {{at.Add(time.Minute), 9}, {at, 5}},
	} {
		o := testOutbox(1 << 20)
		for i, d := range doubts {
			o.Push(pushed(i), nil, false)
			o.retry.PushBack(o.waiting.PopFront())
			o.retry.At(i).doubt = &d
		}
		if all := o.Doubtful(func(*Entry) {}); !all.Since.Equal(at) || all.After != 5 {
			t.Errorf("%s: %+v", name, all)
		}
	}
}
