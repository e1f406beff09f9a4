package bridge

import (
	"errors"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
)

// set returns t as it is read from a wall clock that was set by a whole number
// of seconds: its monotonic reading stays. The first word of a time.Time with
// one holds the seconds above the thirty bits of the nanoseconds.
func set(t *testing.T, at time.Time, by time.Duration) time.Time {
	t.Helper()
	moved := at
	*(*uint64)(unsafe.Pointer(&moved)) += uint64(by/time.Second) << 30
	if moved.Sub(at) != 0 || moved.UnixNano()-at.UnixNano() != int64(by) {
		t.Fatalf("%v is no %v set by %v", moved, at, by)
	}
	return moved
}

// jumps are what clocks are set by; none is one.
var jumps = []time.Duration{0, 3 * time.Hour, -3 * time.Hour, 30 * 24 * time.Hour, -30 * 24 * time.Hour}

func TestClock_WallTimeNeverComesAfterNow(t *testing.T) {
	for _, jump := range jumps {
		then := time.Now()
		now := set(t, then.Add(10*time.Second), jump)
		want := then.UnixNano()
		if jump < 0 {
			want = now.UnixNano() - int64(10*time.Second)
		}
		if got := wallTime(then, now); got != want {
			t.Errorf("set by %v: %v before now", jump, time.Duration(now.UnixNano()-got))
		}
		// Without a monotonic reading nobody knows how long it was; never after now.
		bare, later := then.Round(0), now.Round(0)
		if got := wallTime(bare, later); got > later.UnixNano() {
			t.Errorf("bare, set by %v: %v after now", jump, time.Duration(got-later.UnixNano()))
		}
		if l := left(time.Minute, bare, later); l < 0 || l > time.Minute {
			t.Errorf("bare, set by %v: %v of a minute is left", jump, l)
		}
	}
}

// A clock that is set while a session is away makes no Gap that ends before it
// begins, and no restart of Asterisk.
func TestClock_SetWhileASessionIsAway(t *testing.T) {
	for _, jump := range jumps {
		for uptime, want := range map[string]string{"1000": "no", "3": "yes"} {
			s := pureServer(t)
			s.ingest.outbox.recalled(time.Time{}) // there was no process before
			start := time.Now()
			first := fullyBooted(t, "990")
			s.onState(amiconn.Change{Role: amiconn.RoleEvents, To: amiconn.StateUp, Session: "s1", At: start})
			s.ingest.onClock(pong(start, 0))
			s.ingest.watchRestart(amiconn.Event{At: start, Frame: first})
			s.onState(amiconn.Change{Role: amiconn.RoleEvents, To: amiconn.StateWaiting, Session: "s1", Reason: amiconn.ReasonClosed, At: start.Add(9 * time.Second)})
			back := set(t, start.Add(10*time.Second), jump)
			s.onState(amiconn.Change{Role: amiconn.RoleEvents, To: amiconn.StateUp, Session: "s2", At: back})
			s.ingest.watchRestart(amiconn.Event{At: back, Frame: fullyBooted(t, uptime)})
			s.ingest.onClock(pong(back, -jump)) // the server's clock is as it was
			_, _, told, ok := s.ingest.outbox.take(nil)
			if !ok || told == nil {
				t.Fatalf("set by %v: no Gap", jump)
			}
			if told.restarted != want {
				t.Errorf("set by %v: restarted is %s, want %s", jump, told.restarted, want)
			}
			if length := time.Duration(told.to - told.from); told.to != back.UnixNano() || length < 10*time.Second || jump <= 0 && length != 10*time.Second {
				t.Errorf("set by %v: the Gap is %v long", jump, length)
			}
		}
	}
}

// Of events dropped before and after the clock was set one Gap tells, which
// covers the times of both.
func TestClock_SetBetweenDroppedEvents(t *testing.T) {
	for _, jump := range jumps {
		g, start := gap{reason: dropOverflow}, time.Now()
		after := set(t, start.Add(time.Second), jump)
		g.add(start.UnixNano())
		g.add(after.UnixNano())
		other := gap{reason: dropOverflow}
		other.add(after.UnixNano())
		g.merge(&other)
		if g.from != min(start.UnixNano(), after.UnixNano()) || g.to != max(start.UnixNano(), after.UnixNano()) || g.lost != 3 {
			t.Errorf("set by %v: %+v", jump, g)
		}
	}
}

// What a state says of the time until the next try is not moved by the clock,
// and its since is never after its at.
func TestClock_SetWhileASessionWaits(t *testing.T) {
	for _, jump := range jumps {
		s, start := pureServer(t), time.Now()
		failure := errors.New("refused")
		c := amiconn.Change{Role: amiconn.RoleEvents, To: amiconn.StateWaiting, Reason: amiconn.ReasonDial, Err: failure, RetryIn: 30 * time.Second, At: start}
		m := s.status.connectionStatus(c, set(t, start.Add(10*time.Second), jump), triggerInterval, 0)
		if m.RetryInMS != 20_000 || m.Since > m.At {
			t.Errorf("set by %v: %+v", jump, m)
		}
		o := amiconn.BreakerChange{From: amiconn.BreakerClosed, To: amiconn.BreakerOpen, Reason: amiconn.ReasonDial, Err: failure, RetryIn: 30 * time.Second, At: start}
		now := set(t, start.Add(10*time.Second), jump)
		b := s.status.breakerStatus(o, now, triggerInterval, 20*time.Second)
		if b.RetryInMS != 20_000 || b.Since > b.At || b.RetryAt != stamp(now.Add(20*time.Second)) {
			t.Errorf("set by %v: %+v", jump, b)
		}
	}
}

// An acknowledgement is late by the time that has passed, not by the clock's.
func TestClock_SetWhileEventsAreInFlight(t *testing.T) {
	for _, jump := range jumps {
		w := newWindow([]*outbox{newOutbox(1<<20, "x", newOutboxBudget(1<<20, 1), func() {})}, func(int) {})
		w.add(0, 100)
		sent := w.lanes[0].slot(0).at
		if w.expire(set(t, sent.Add(time.Second), jump)); len(w.takeFailures(nil)) != 0 {
			t.Errorf("set by %v: late after a second", jump)
		}
		if w.expire(set(t, sent.Add(ackTimeout+time.Second), jump)); len(w.takeFailures(nil)) != 1 {
			t.Errorf("set by %v: waits for ever", jump)
		}
	}
}

// pureServer is a server whose Bridge does not run.
func pureServer(t *testing.T) *server {
	t.Helper()
	cfg := DefaultConfig()
	cfg.Node, cfg.HTTPAddr = "b1", ""
	pbx := DefaultServerConfig()
	pbx.Name, pbx.Addr, pbx.Username, pbx.Secret = "pbx1", "h:1", "u", "s3cret"
	cfg.Servers = []ServerConfig{pbx}
	b, err := New(cfg, Deps{})
	if err != nil {
		t.Fatal(err)
	}
	return b.servers[0]
}

// pong is what a Pong read at that time says of a server whose clock is ahead.
func pong(at time.Time, ahead time.Duration) amiconn.Clock {
	return amiconn.Clock{Born: at, Asked: at, Told: at, Server: at.Round(0).Add(ahead)}
}

func fullyBooted(t *testing.T, uptime string) *frames.Frame {
	t.Helper()
	f, err := frames.NewReader(strings.NewReader("Event: FullyBooted\r\nUptime: "+uptime+"\r\n\r\n"), 1<<12).Next()
	if err != nil {
		t.Fatal(err)
	}
	return f
}
