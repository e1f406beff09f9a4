package outbox

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// recalling is an outbox behind a first login at that time, whose stream has not
// told yet where it ended.
func recalling(limit int, login time.Time) *Outbox {
	o := testOutbox(limit)
	o.PushGap("s", &Gap{Reason: GapRestart, Unknown: true, From: login.UnixNano(), To: login.UnixNano(), Resume: true})
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
			o.Push(pushed(1), []byte("1"), false)
			if _, _, _, ok := o.Take(nil); ok || o.Waiting() {
				t.Fatal("something goes out before the stream has told where it ended")
			}
			o.SetLastBefore(test.last)
			if !o.Waiting() {
				t.Fatal("nothing goes out once it has")
			}
			if test.from != 0 {
				_, _, told, ok := o.Take(nil)
				if !ok || told == nil || told.From != test.from || told.To != login.UnixNano() {
					t.Fatalf("the first is %+v", told)
				}
				o.Ack()
			}
			if diff := cmp.Diff([]string{"1"}, drain(t, o)); diff != "" {
				t.Error(diff)
			}
			if a := o.Account(); a.Bytes != 0 || a.Left != 0 || a.Published != 1 {
				t.Errorf("%+v", a)
			}
		})
	}
}

// What does not fit meanwhile is dropped behind the Gap, and told.
func TestRecall_AnOutboxThatOverflowsMeanwhile(t *testing.T) {
	o := recalling(EntryBytes*64, time.Unix(1000, 0))
	for i := range 200 {
		o.Push(pushed(i), fmt.Appendf(nil, "%d", i), false)
	}
	if _, _, _, ok := o.Take(nil); ok {
		t.Fatal("something goes out before the stream has told where it ended")
	}
	o.SetLastBefore(time.Unix(900, 0))
	got := drain(t, o)
	if len(got) < 3 || got[0] != GapRestart+":unknown" || !strings.HasPrefix(got[1], DropOverflow) || got[len(got)-1] != "199" {
		t.Errorf("%q", got)
	}
	if a := o.Account(); a.Received != a.Published+a.Dropped[DropOverflow] {
		t.Errorf("the law does not hold: %+v", a)
	}
}
