package bridge

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/natstest"
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

// The Gap says as well that Asterisk was not started anew since the last event of
// the process before, if the stream has told by the first of this one. That it
// was, nobody can be sure of: the Uptime alone may be that of a clock that was set.
func TestRecall_TellsWhetherAsteriskRestarted(t *testing.T) {
	for _, test := range []struct {
		name, uptime, want string
		known              bool
	}{
		{"up since before", "1000", "no", true},
		{"started since, or its clock was set", "5", "unknown", true},
		{"not known in time", "5", "unknown", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, login := pureServer(t), time.Now()
			last := login.Add(-time.Minute).Round(0) // as the stream has it
			if test.known {
				s.ingest.outbox.recalled(last)
			}
			s.onState(amiconn.Change{Role: amiconn.RoleEvents, To: amiconn.StateUp, Session: "s1", At: login})
			s.ingest.watchRestart(amiconn.Event{At: time.Now(), Frame: fullyBooted(t, test.uptime)})
			s.ingest.outbox.recalled(last)
			_, _, told, ok := s.ingest.outbox.take(nil)
			if !ok || told == nil || told.reason != gapRestart || told.restarted != test.want || told.from != last.UnixNano() {
				t.Errorf("%+v, want restarted %s", told, test.want)
			}
		})
	}
}

// A stream whose events another takes over may hold none of what it had.
func TestRecall_EventsThatWereTakenOver(t *testing.T) {
	s := natstest.Serve(t, func(*natsserver.Options) {})
	_, js := natstest.Client(t, s.ClientURL())
	stream, err := js.CreateStream(t.Context(), forwarded(jetstream.StreamConfig{Name: EventStream, Subjects: []string{"ami.events.>"}}))
	if err != nil {
		t.Fatal(err)
	}
	last := func() time.Time {
		at, err := lastEvent(t.Context(), js, "ami.events.pbx1.>")
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	if at := last(); !at.IsZero() {
		t.Errorf("a new stream has its last event at %v", at)
	}
	if _, err := js.Publish(t.Context(), "ami.events.pbx1.Hangup", nil); err != nil {
		t.Fatal(err)
	}
	stored := last()
	consumer, err := stream.CreateConsumer(t.Context(), jetstream.ConsumerConfig{AckPolicy: jetstream.AckExplicitPolicy})
	if err != nil {
		t.Fatal(err)
	}
	msg, err := consumer.Next()
	if err != nil {
		t.Fatal(err)
	}
	if err := msg.DoubleAck(t.Context()); err != nil {
		t.Fatal(err)
	}
	if at := last(); at.IsZero() || !at.Equal(stored) {
		t.Errorf("once it was taken over the last event is at %v, it was stored at %v", at, stored)
	}
}
