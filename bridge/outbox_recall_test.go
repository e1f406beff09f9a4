package bridge

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// recalling is an outbox behind a first login at that time, whose stream has not
// told yet where it ended.
func recalling(limit int, login time.Time) *outbox {
	o := testOutbox(limit)
	o.pushGap("s", &gap{reason: gapRestart, unknown: true, from: login.UnixNano(), to: login.UnixNano(), recall: true})
	return o
}

func TestRecall_EventsWaitForTheStream(t *testing.T) {
	login := time.Unix(1000, 0)
	for _, test := range []struct {
		name string
		last time.Time
		from int64 // 0: no Gap
	}{
		{"an event before", time.Unix(900, 0), time.Unix(900, 0).UnixNano()},
		{"none before", time.Time{}, 0},
		{"the clock was set back", time.Unix(2000, 0), login.UnixNano()},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := recalling(1<<20, login)
			o.push(pushed(1), []byte("1"), false)
			if _, _, _, ok := o.take(nil); ok || o.waiting() {
				t.Fatal("something goes out before the stream has told where it ended")
			}
			o.recalled(test.last)
			if !o.waiting() {
				t.Fatal("nothing goes out once it has")
			}
			if test.from != 0 {
				_, _, told, ok := o.take(nil)
				if !ok || told == nil || told.from != test.from || told.to != login.UnixNano() {
					t.Fatalf("the first is %+v", told)
				}
				o.ack()
			}
			if diff := cmp.Diff([]string{"1"}, drain(t, o)); diff != "" {
				t.Error(diff)
			}
			if a := o.account(); a.bytes != 0 || a.left != 0 || a.published != 1 {
				t.Errorf("%+v", a)
			}
		})
	}
}

// What does not fit meanwhile is dropped behind the Gap, and told.
func TestRecall_AnOutboxThatOverflowsMeanwhile(t *testing.T) {
	o := recalling(entryBytes*64, time.Unix(1000, 0))
	for i := range 200 {
		o.push(pushed(i), fmt.Appendf(nil, "%d", i), false)
	}
	if _, _, _, ok := o.take(nil); ok {
		t.Fatal("something goes out before the stream has told where it ended")
	}
	o.recalled(time.Unix(900, 0))
	got := drain(t, o)
	if len(got) < 3 || got[0] != gapRestart+":unknown" || !strings.HasPrefix(got[1], dropOverflow) || got[len(got)-1] != "199" {
		t.Errorf("%q", got)
	}
	if a := o.account(); a.received != a.published+a.dropped[dropOverflow] {
		t.Errorf("the law does not hold: %+v", a)
	}
}
