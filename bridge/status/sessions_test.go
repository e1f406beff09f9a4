package status

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/clock"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/jsontest"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/subject"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/outbox"
)

// At an interval an operator hears of the session that is not up; of two, of
// the one that changed last.
func TestStates_TheWorstSessionIsToldOf(t *testing.T) {
	const up, waiting, connecting, stopped = amiconn.StateUp, amiconn.StateWaiting, amiconn.StateConnecting, amiconn.StateStopped
	start := time.Now()
	change := func(role amiconn.Role, to amiconn.State, second int) amiconn.Change {
		return amiconn.Change{Role: role, To: to, At: start.Add(time.Duration(second) * time.Second)}
	}
	for _, test := range []struct {
		event, action amiconn.Change
		want          amiconn.Role
	}{
		{change(0, up, 1), change(1, up, 2), amiconn.RoleActions},
		{change(0, up, 2), change(1, up, 1), amiconn.RoleEvents},
		{change(0, waiting, 1), change(1, up, 2), amiconn.RoleEvents},
		{change(0, up, 2), change(1, connecting, 1), amiconn.RoleActions},
		{change(0, waiting, 2), change(1, connecting, 1), amiconn.RoleEvents},
		{change(0, stopped, 1), change(1, waiting, 2), amiconn.RoleActions},
		{amiconn.Change{Role: 0}, change(1, up, 2), amiconn.RoleActions},
	} {
		s := states{sessions: []amiconn.Change{test.event, test.action}}
		if got, ok := s.worst(); !ok || got.Role != test.want {
			t.Errorf("of %v and %v it tells of %v, %v", test.event.To, test.action.To, got.Role, ok)
		}
	}
	if _, ok := (&states{sessions: []amiconn.Change{{Role: 0}, {Role: 1}}}).worst(); ok {
		t.Error("there is something to tell before the first change")
	}
}

// told are the messages that wait on the status subject what, as JSON objects.
func (s *Publisher) told(t *testing.T, what string) (all []map[string]any) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.waiting {
		if !strings.HasSuffix(m.key.Subject, what) {
			continue
		}
		var body map[string]any
		if err := json.Unmarshal(m.body, &body); err != nil {
			t.Fatal(err)
		}
		all = append(all, body)
	}
	return all
}

// A change is told as it was, and at an interval once more with the time of then:
// since when, and how long it is until the next try, of the session or of the
// breaker, whichever is longer.
func TestStates_AnIntervalTellsTheTimeOfThen(t *testing.T) {
	s := testServer(t)
	at := time.Now()
	c := amiconn.Change{
		Name: "event", Role: amiconn.RoleEvents, From: amiconn.StateUp, To: amiconn.StateWaiting, At: at,
		Reason: amiconn.ReasonClosed, Err: errors.New("EOF"), Failures: 3, RetryIn: 10 * time.Second,
	}
	s.OnSession(c)
	told := s.publisher.told(t, ".connection")
	if len(told) != 1 {
		t.Fatalf("%v", told)
	}
	same := map[string]any{
		"server": "pbx1", "node": "b1", "role": "event", "from": "up", "to": "waiting", "reason": "closed", "error": "EOF",
		"failures": 3, "since": clock.Stamp(at), "sessions": map[string]any{"event": "waiting", "action": "down"},
	}
	jsontest.Says(t, told[0], same)
	jsontest.Says(t, told[0], map[string]any{"trigger": "change", "at": clock.Stamp(at), "retry_in_ms": 10_000})
	later := at.Add(4 * time.Second)
	for open, want := range map[time.Duration]int64{0: 6000, 2 * time.Second: 6000, 20 * time.Second: 20_000} {
		m := s.connectionStatus(c, later, triggerInterval, open)
		if m.RetryInMS != want || m.At != clock.Stamp(later) || m.Since != clock.Stamp(at) || m.Trigger != "interval" {
			t.Errorf("open for %v: %+v, want %d", open, m, want)
		}
	}
	c.To = amiconn.StateUp
	if m := s.connectionStatus(c, later, triggerInterval, 20*time.Second); m.RetryInMS != 0 {
		t.Errorf("one that is up is tried again in %d ms", m.RetryInMS)
	}

	b := amiconn.BreakerChange{At: at, From: amiconn.BreakerClosed, To: amiconn.BreakerOpen, Reason: amiconn.ReasonAuth, Err: errors.New("no"), Failures: 1}
	m := s.breakerStatus(b, later, triggerInterval, 30*time.Second)
	want := breakerMsg{
		Server: "pbx1", Node: "b1", At: clock.Stamp(later), Trigger: "interval", Since: clock.Stamp(at), From: "closed", To: "open",
		Reason: "auth", Error: "no", Failures: 1, RetryInMS: 30_000, RetryAt: clock.Stamp(later.Add(30 * time.Second)),
	}
	if m != want {
		t.Errorf("%+v, want %+v", m, want)
	}
	b.To = amiconn.BreakerHalfOpen
	if m := s.breakerStatus(b, later, triggerChange, 0); m.RetryAt != "" || m.RetryInMS != 0 {
		t.Errorf("half open it is tried again at %q", m.RetryAt)
	}
}

// At an interval a session that is down is told of, and the breaker with the
// failures of then; not a breaker that has changed and is about to say so.
func TestStates_AnIntervalTellsOfAll(t *testing.T) {
	s := testServer(t)
	now := time.Now()
	s.states.sessions[0] = amiconn.Change{Name: "event", To: amiconn.StateWaiting, At: now, RetryIn: time.Second}
	s.states.sessions[1] = amiconn.Change{Name: "action", Role: amiconn.RoleActions, To: amiconn.StateUp, At: now}
	s.states.breaker = amiconn.BreakerChange{To: amiconn.BreakerClosed, At: now, Failures: 7}
	s.publishStates(amiconn.BreakerStatus{State: amiconn.BreakerClosed})
	if told := s.publisher.told(t, ".connection"); len(told) != 1 {
		t.Errorf("%v", told)
	} else {
		jsontest.Says(t, told[0], map[string]any{"trigger": "interval", "role": "event", "to": "waiting"})
	}
	if told := s.publisher.told(t, ".breaker"); len(told) != 1 {
		t.Errorf("%v", told)
	} else {
		jsontest.Says(t, told[0], map[string]any{"trigger": "interval", "to": "closed", "failures": 0})
	}
	s.states.breaker.To = amiconn.BreakerOpen // the link's is closed
	s.publishStates(amiconn.BreakerStatus{State: amiconn.BreakerClosed})
	if told := s.publisher.told(t, ".breaker"); len(told) != 1 {
		t.Errorf("a breaker that is no more so is told of: %v", told[1:])
	}
}

// A Gap is counted, logged and told, and the last of each reason is what is told
// again after a reconnect.
func TestStates_AGapIsTold(t *testing.T) {
	s := testServer(t)
	core, logs := observer.New(zap.WarnLevel)
	s.log = zap.New(core)
	from, to := time.Unix(1000, 0), time.Unix(2000, 0)
	for _, g := range []struct {
		outbox.Gap
		lost, restarted any
	}{
		{outbox.Gap{Reason: outbox.DropOverflow, Lost: 9}, 9, nil},
		{outbox.Gap{Reason: "closed", Unknown: true, Restarted: "yes"}, nil, true},
		{outbox.Gap{Reason: "read", Unknown: true, Restarted: "no"}, nil, false},
		{outbox.Gap{Reason: "ping", Unknown: true, Restarted: "unknown"}, nil, nil},
	} {
		g.From, g.To = from.UnixNano(), to.UnixNano()
		s.PublishGap(g.Gap)
		told := s.publisher.told(t, ".gap")
		jsontest.Says(t, told[len(told)-1], map[string]any{
			"reason": g.Reason, "from": clock.Stamp(from), "to": clock.Stamp(to), "lost": g.lost, "restarted": g.restarted,
		})
		if n := s.Gaps()[g.Reason]; n != 1 {
			t.Errorf("%d Gaps by %s are counted", n, g.Reason)
		}
	}
	if n := logs.FilterMessage("gap in the events").Len(); n != 4 {
		t.Errorf("%d lines", n)
	}
	kinds := make(map[subject.Key]bool)
	for _, m := range s.publisher.waiting {
		kinds[m.key] = true
	}
	if len(kinds) != 4 {
		t.Errorf("%d kinds of four reasons", len(kinds))
	}
}
