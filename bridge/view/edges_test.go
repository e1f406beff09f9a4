package view

import (
	"fmt"
	"testing"
	"time"
)

// It is losing events to the end of the second interval after the last drop.
func TestEdge_TwoIntervals(t *testing.T) {
	t.Parallel()
	w := watch(t)
	w.up("pbx1")
	w.pass(time.Second)
	w.tell("pbx1", "buffers", buffers(9, 8, dropped("shed", 1)))
	w.pass(10 * time.Second)
	equal(t, "at two intervals", w.of("pbx1").State, StateLosing)
	w.pass(time.Millisecond)
	equal(t, "later", w.of("pbx1").State, StateWell)
}

// A message that is older than what is known changes no buffer; one that says it will be
// is of now.
func TestEdge_MessagesOutOfTime(t *testing.T) {
	t.Parallel()
	w := watch(t)
	w.up("pbx1")
	w.pass(10 * time.Second)
	w.tell("pbx1", "buffers", buffers(1000, 1000))
	w.Kept("ami.status.pbx1.buffers", marshal(buffers(500, 500, fields{"node": "b1", "at": text(at(5 * time.Second))})), w.now, w.now)
	equal(t, "received", w.of("pbx1").Account.Received, 1000)
	equal(t, "in", w.of("pbx1").Rates.In, 100)
	w.Kept("ami.status.pbx2.buffers", marshal(buffers(5, 5, fields{"node": "b9", "at": text(w.now.Add(time.Hour))})), w.now, w.now)
	same(t, "at", w.of("pbx2").Account.At, w.now)
	w.pass(16 * time.Second)
	equal(t, "state of what is said to be later", w.of("pbx2").State, StateUnknown)
}

// A gap that a stream kept is not counted again where its drops were.
func TestEdge_KeptGapOfWhatWasCounted(t *testing.T) {
	t.Parallel()
	w := watch(t)
	w.up("pbx1")
	w.pass(time.Second)
	w.tell("pbx1", "buffers", buffers(90, 40, dropped("shed", 50)))
	w.Kept("ami.status.pbx1.gap", marshal(fields{"node": "b1", "at": text(w.now), "from": text(t0), "to": text(w.now), "reason": "shed", "lost": 50}), w.now, w.now)
	equal(t, "lost", w.snapshot().Totals.Lost, 50)
}

// A gap of another reason does not close the one that is open.
func TestEdge_OpenGapOfAnotherReason(t *testing.T) {
	t.Parallel()
	w := watch(t)
	w.up("pbx1")
	w.pass(time.Second)
	w.tell("pbx1", "buffers", buffers(90, 40, dropped("shed", 50)))
	w.tell("pbx1", "gap", fields{"from": text(t0), "to": text(t0), "reason": "closed", "lost": nil})
	equal(t, "the first is open", w.of("pbx1").Gaps[0].To.IsZero(), true)
}

// Since when: the first of the messages that say so.
func TestEdge_Since(t *testing.T) {
	t.Parallel()
	w := watch(t)
	w.up("pbx1")
	for range 3 {
		w.pass(5 * time.Second)
		w.tell("pbx1", "buffers", buffers(9, 9, fields{"outbox": outbox(capacity*9/10, "high")}))
	}
	same(t, "over 80 %", w.of("pbx1").Since, at(5*time.Second))
	w.pass(30 * time.Hour)
	w.tell("pbx1", "buffers", buffers(9, 9))
	w.tell("pbx1", "connection", fields{"since": text(w.now), "role": "action", "to": "up", "sessions": fields{"event": "up", "action": "up"}})
	same(t, "up, though another session came up later", w.of("pbx1").Since, t0)
	w.pass(time.Second)
	w.tell("pbx1", "connection", fields{"since": "no time", "role": "event", "to": "waiting", "reason": "read", "sessions": fields{"event": "waiting"}})
	same(t, "without a time of its own", w.of("pbx1").Since, w.now)
	w.pass(time.Second)
	w.tell("pbx1", "connection", fields{"since": text(w.now.Add(time.Hour)), "role": "event", "to": "up", "sessions": fields{"event": "up"}})
	same(t, "with one that is to come", w.of("pbx1").Since, w.now)
	w.put("pbx1.server", fields{"state": "syncing"})
	began := w.now
	w.pass(time.Second)
	w.put("pbx1.server", fields{"state": "syncing"})
	same(t, "syncing", w.of("pbx1").Since, began)
}

// Until when: the later of session and breaker, and a try before a forecast.
func TestEdge_Until(t *testing.T) {
	t.Parallel()
	w := watch(t)
	w.connect("pbx1")
	for i := range int64(3) {
		w.pass(5 * time.Second)
		w.tell("pbx1", "buffers", buffers(9, 9, fields{"outbox": outbox(i*20<<20, "normal")}))
	}
	w.tell("pbx1", "connection", fields{"since": text(w.now), "role": "action", "to": "waiting", "reason": "read", "retry_in_ms": 9000, "sessions": fields{"event": "up", "action": "waiting"}})
	v := w.of("pbx1")
	equal(t, "kind, of a session that waits while the outbox fills", v.UntilKind, UntilTry)
	same(t, "until", v.Until, w.now.Add(9*time.Second))
	w.lose("pbx1", "dial", "x")
	w.tell("pbx1", "breaker", fields{"since": text(w.now), "to": "open", "reason": "dial", "failures": 5, "retry_at": text(w.now.Add(time.Second))})
	same(t, "until, the session's is later", w.of("pbx1").Until, w.now.Add(21*time.Second))
	w.tell("pbx1", "breaker", fields{"since": text(w.now), "to": "open", "reason": "dial", "failures": 5, "retry_at": text(w.now.Add(time.Minute))})
	same(t, "until, the breaker's is later", w.of("pbx1").Until, w.now.Add(time.Minute))
}

// The counts of two processes make no rate.
func TestEdge_AnotherBridgeSpeaks(t *testing.T) {
	t.Parallel()
	w := watch(t)
	for i := range uint64(3) {
		w.tell("pbx1", "buffers", buffers(1000*i, 1000*i, fields{"outbox": outbox(int64(i)*10<<20, "normal")}))
		w.pass(5 * time.Second)
	}
	w.tellAs("b2", "pbx1", "ha", fields{"leader": "b2", "term": 2})
	w.tellAs("b2", "pbx1", "buffers", buffers(9_000_000, 9_000_000, fields{"outbox": outbox(60<<20, "normal")}))
	s := w.of("pbx1")
	if s.Rates != nil || s.Forecast != nil {
		t.Errorf("%+v, %+v", s.Rates, s.Forecast)
	}
	w.pass(5 * time.Second)
	w.tellAs("b2", "pbx1", "buffers", buffers(9_000_500, 9_000_500, fields{"outbox": outbox(60<<20, "normal")}))
	equal(t, "in", w.of("pbx1").Rates.In, 100)
	for _, n := range w.of("pbx1").Rates.InPast {
		if n > 2000 {
			t.Errorf("%d events in ten seconds", n)
		}
	}
}

// A bridge that has died is seen for an hour, though others have all its servers.
func TestEdge_DeadBridgeIsSeen(t *testing.T) {
	t.Parallel()
	w := watch(t)
	w.node("b1", []string{"pbx1"})
	for range 59 {
		w.pass(time.Minute)
		w.node("b2", []string{"pbx1"})
	}
	w.Tick(w.now)
	equal(t, "bridges after 59 minutes", len(w.snapshot().Bridges), 2)
	w.pass(2 * time.Minute)
	w.node("b2", []string{"pbx1"})
	w.Tick(w.now)
	equal(t, "bridges after 61 minutes", len(w.snapshot().Bridges), 1)
}

// An agent's time begins anew with each of its calls.
func TestEdge_AgentsNextCall(t *testing.T) {
	t.Parallel()
	w := watch(t)
	w.live("pbx1")
	w.member("pbx1", "q", "Ann", 2, fields{"InCall": "1"})
	w.pass(time.Second)
	w.member("pbx1", "q", "Ann", 2, fields{"InCall": "0"})
	equal(t, "since", fmt.Sprint(w.now.Sub(w.snapshot().Floor.Agents[0].Since.Time)), "0s")
}
