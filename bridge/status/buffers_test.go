package status

import (
	"testing"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/outbox"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/outbox/outboxtest"
)

// The worst of what has changed is said: full before high before drained, and
// nothing without a change.
func TestBuffers_TheWorstIsSaid(t *testing.T) {
	at := func(outbox, write, pending outbox.Level) levels {
		return levels{outbox: outbox, write: write, pending: pending}
	}
	const n, h, f = outbox.LevelNormal, outbox.LevelHigh, outbox.LevelFull
	for _, test := range []struct {
		before, now levels
		want        string
	}{
		{at(n, n, n), at(n, n, n), ""}, {at(f, h, n), at(f, h, n), ""},
		{at(n, n, n), at(h, n, n), "high"}, {at(n, n, n), at(n, n, h), "high"},
		{at(n, n, n), at(f, h, n), "full"}, {at(n, h, n), at(f, n, n), "full"}, {at(f, n, n), at(n, n, f), "full"},
		{at(n, n, n), at(n, f, h), "full"}, {at(h, n, n), at(n, n, n), "drained"}, {at(h, n, n), at(n, h, n), "high"},
		{at(n, h, h), at(h, n, n), "high"}, {at(f, f, n), at(n, n, n), "drained"},
	} {
		if got := trigger(&test.before, &test.now); got != test.want {
			t.Errorf("%+v to %+v is %q, want %q", test.before, test.now, got, test.want)
		}
	}
}

// What is told of an outbox is what it holds: its depth is what waits and what is
// in flight.
func TestBuffers_TellWhatTheyHold(t *testing.T) {
	s := testServer(t)
	for i := range 10 {
		s.outbox.Push(outboxtest.Entry(i), make([]byte, 100), false)
	}
	for range 4 {
		s.outbox.Take(nil)
	}
	s.outbox.Ack()
	s.outbox.Filter()
	m := s.buffers(time.Now(), new(amiconn.Status))
	if m.Received != 11 || m.Published != 1 || m.Filtered != 1 || m.Queued != 6 || m.InFlight != 3 {
		t.Errorf("%+v", m)
	}
	a := s.outbox.Account()
	if o := m.Outbox; o.Depth != 9 || o.Bytes != a.Bytes || o.HighWater != a.HighWater || o.HighWater <= o.Bytes || o.Capacity != s.capacities.Load().outbox || o.Level != "normal" {
		t.Errorf("%+v", o)
	}
}

// The alarm is raised when an Action buffer begins to fill, is drained or refuses,
// and not in between.
func TestBuffers_ActionsRaiseTheAlarmAtTheEdges(t *testing.T) {
	s := testServer(t)
	for _, step := range []struct {
		busy, refused bool
		want          int
	}{{false, false, 0}, {true, false, 1}, {false, false, 0}, {false, true, 1}} {
		s.busy.Store(step.busy) // of empty buffers
		s.Pressure(0, 0, step.refused)
		if alarms := len(s.publisher.changed); alarms != step.want || s.busy.Load() != step.refused {
			t.Errorf("%+v: %d alarms, busy %v", step, alarms, s.busy.Load())
		}
		if step.want > 0 {
			<-s.publisher.changed
		}
	}
}

// Who has nothing to look at is not looked at: a thousand servers would be for each that has.
func TestLook_AsksNothingUnlessNotified(t *testing.T) {
	s, asked := testServer(t), 0
	look := func() {
		s.Look(time.Now(), func() amiconn.Status { asked++; return amiconn.Status{WriteBytes: int(s.capacities.Load().write)} })
	}
	look()
	if asked != 0 || len(s.publisher.waiting) != 0 {
		t.Fatalf("the link was asked %d times", asked)
	}
	s.Notify()
	look()
	look()
	if asked != 1 || len(s.publisher.waiting) != 1 {
		t.Errorf("the link was asked %d times, and %d messages wait", asked, len(s.publisher.waiting))
	}
}

// What is told of each interval is published, and not observed.
func TestPublish_OnlyChangesAreObserved(t *testing.T) {
	var observed []string
	s := testServer(t)
	s.publisher.observe = func(subject string, _ []byte) { observed = append(observed, subject) }
	s.Tick(time.Now(), &amiconn.Status{})
	if len(observed) > 0 || len(s.publisher.waiting) == 0 {
		t.Errorf("%v are observed, and %d wait", observed, len(s.publisher.waiting))
	}
	s.OnBreaker(amiconn.BreakerChange{To: amiconn.BreakerOpen, At: time.Now()})
	if len(observed) != 1 {
		t.Errorf("%v are observed", observed)
	}
}
