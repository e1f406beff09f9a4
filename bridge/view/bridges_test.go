package view

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/clocktest"
)

func TestHeadline(t *testing.T) {
	t.Parallel()
	down := fields{"nats": "RECONNECTING", "connections": fields{"events": "RECONNECTING", "control": "RECONNECTING"}}
	for name, c := range map[string]struct {
		do   func(w *watched)
		want Headline
		exit int
	}{
		"nothing":  {func(*watched) {}, Headline{StateUnknown, "No server is known", "No bridge has told of one yet."}, 2},
		"all well": {func(w *watched) { w.up("a"); w.up("b") }, Headline{StateWell, "All 2 servers are well", "Nothing is being lost."}, 0},
		"one well": {func(w *watched) { w.up("a") }, Headline{StateWell, "a is well", "Nothing is being lost."}, 0},
		"a gap behind": {func(w *watched) {
			w.up("a")
			w.tell("a", "gap", fields{"from": text(at(-time.Hour)), "to": text(w.now), "reason": "closed", "lost": nil, "restarted": true})
			w.pass(5 * time.Second)
		}, Headline{StateWell, "a is well", "Nothing is being lost. The last gap ended 5 s ago, at a: closed."}, 0},
		"one syncs": {func(w *watched) { w.up("a"); w.up("b"); w.put("b.server", fields{"state": "syncing"}) },
			Headline{StateSyncing, "All 2 servers are well", "Nothing is being lost. One is syncing."}, 0},
		"one of two ill": {func(w *watched) { w.up("a"); w.up("b"); w.lose("b", "dial", "x") },
			Headline{StateDown, "1 of 2 servers is ill", "One is not connected: its events are lost."}, 1},
		"the only one": {func(w *watched) { w.up("a"); w.lose("a", "auth", "x") },
			Headline{StateRefused, "1 of 1 server is ill", "One is not connected: its events are lost."}, 1},
		"three of twelve": {func(w *watched) {
			for i := range 12 {
				w.up(fmt.Sprintf("s%d", i))
			}
			w.pass(5 * time.Second)
			w.tell("s3", "buffers", buffers(0, 0, dropped("shed", 1)))
			w.lose("s1", "dial", "x")
			w.lose("s2", "auth", "x")
		}, Headline{StateLosing, "3 of 12 servers are ill", "One drops events. Two are not connected: their events are lost."}, 1},
		"trouble and silence": {func(w *watched) {
			w.up("a")
			w.pass(20 * time.Second)
			w.up("b")
			w.tell("b", "buffers", buffers(0, 0, fields{"outbox": outbox(capacity*9/10, "high")}))
		}, Headline{StateTrouble, "1 of 2 servers is ill", "One is in trouble and loses nothing yet. One is not known."}, 1},
		"one silent": {func(w *watched) { w.up("a"); w.pass(20 * time.Second); w.up("b") },
			Headline{StateUnknown, "1 of 2 servers is not known", "The others are well."}, 2},
		"all silent": {func(w *watched) { w.up("a"); w.up("b"); w.pass(20 * time.Second) },
			Headline{StateUnknown, "Nothing is known of 2 servers", "The bridge, or its NATS, is gone."}, 2},
		"NATS is down": {func(w *watched) {
			w.node("b1", []string{"a", "b"})
			w.pass(time.Second)
			w.node("b1", []string{"a", "b"}, down)
			w.up("a")
			w.up("b")
		}, Headline{StateDown, "NATS is down, nothing is lost yet", "Since 03:00:01. 2 of 2 Asterisks stay connected, and events wait in memory. " +
			"Callers of actions get no answer. Do not restart the bridge: what it holds would be lost."}, 1},
		"NATS is down and an outbox is full": {func(w *watched) {
			w.node("b1", []string{"a", "b"}, down)
			w.up("a")
			w.up("b")
			w.tell("b", "buffers", buffers(0, 0, fields{"outbox": outbox(capacity, "full")}))
		}, Headline{StateDown, "NATS is down, 1 of 2 servers loses events", "2 of 2 Asterisks stay connected, and events wait in memory. " +
			"Callers of actions get no answer. Do not restart the bridge: what it holds would be lost."}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := watch(t)
			c.do(w)
			if got := w.snapshot().Headline; got != c.want {
				t.Errorf("got  %+v\nwant %+v", got, c.want)
			}
			equal(t, "exit code", w.snapshot().ExitCode(), c.exit)
		})
	}
}

// How long memory lasts is in the headline while NATS is down.
func TestHeadline_FirstFull(t *testing.T) {
	t.Parallel()
	w := watch(t)
	down := fields{"nats": "RECONNECTING", "connections": fields{"events": "RECONNECTING", "control": "RECONNECTING"}}
	for i := range int64(5) {
		w.node("b1", []string{"a", "b"}, down)
		w.connect("a")
		w.connect("b")
		w.tell("a", "buffers", buffers(0, 0, fields{"outbox": outbox(i*5<<20, "normal")}))
		w.tell("b", "buffers", buffers(0, 0, fields{"outbox": outbox(i*5<<18, "normal")}))
		w.pass(5 * time.Second)
	}
	if more := w.snapshot().Headline.More; !strings.Contains(more, " The first outbox is full at 03:01:04, that of a. ") {
		t.Errorf("the headline says: %s", more)
	}
}

// NATS is down since the last bridge lost it.
func TestNATS_Since(t *testing.T) {
	t.Parallel()
	w := watch(t)
	down := fields{"connections": fields{"events": "RECONNECTING", "control": "RECONNECTING"}}
	w.node("b0", nil, down) // it was so when the first word came
	for i, node := range []string{"b1", "b2", "b3"} {
		w.node(node, nil)
		w.pass(time.Second)
		w.node(node, nil, down)
		equal(t, "up", w.snapshot().NATS.Up, false)
		same(t, "since", w.snapshot().NATS.Since, at(time.Duration(i+1)*time.Second))
	}
	w.node("b2", nil)
	equal(t, "up, for one", w.snapshot().NATS.Up, true)
}

// Several bridges: each with its age, and who leads and stands by.
func TestBridges(t *testing.T) {
	t.Parallel()
	w := watch(t)
	w.node("b1", []string{"pbx1", "pbx2"}, fields{"uptime_s": 3600})
	w.node("b2", []string{"pbx1", "pbx2"})
	w.node("b3", []string{"pbx1"})
	for _, server := range []string{"pbx1", "pbx2"} {
		w.tell(server, "ha", fields{"trigger": "change", "leader": "b1", "term": 7, "since": text(w.now), "reason": "start",
			"standbys": []fields{{"node": "b2", "state": "in_sync", "lag": 0.3}, {"node": "b3", "state": "joining"}}})
	}
	roles := func() (all string) {
		for _, b := range w.snapshot().Bridges {
			all += " " + b.Node + ":" + b.Role()
		}
		return all
	}
	equal(t, "roles", roles(), " b1:leader b2:in sync b3:standby")
	same(t, "since", w.snapshot().Bridges[0].Since, at(-time.Hour))
	w.tellAs("b2", "pbx2", "ha", fields{"trigger": "change", "leader": "b2", "term": 8, "standbys": []fields{{"node": "b1", "state": "in_sync"}}})
	equal(t, "roles, shared", roles(), " b1:leads 1 b2:leads 1 b3:standby")
	w.pass(16 * time.Second)
	w.node("b2", []string{"pbx1", "pbx2"})
	equal(t, "roles, two silent", roles(), " b1:not known b2:leads 1 b3:not known")
	equal(t, "what changed", w.snapshot().Changes[0].What, "b2 leads")
	w.pass(61 * time.Minute)
	w.node("b2", []string{"pbx1", "pbx2"})
	w.pass(time.Second)
	equal(t, "whose servers others have is forgotten", roles(), " b2:leads 1")
}

// Of two bridges that speak for a server one is heard; the other once that one is
// silent or says that it leads. Their counts are not mixed.
func TestBridges_OneSpeaksForAServer(t *testing.T) {
	t.Parallel()
	w := watch(t)
	for i := range uint64(4) {
		w.tellAs("b1", "pbx1", "connection", fields{"role": "event", "to": "up", "since": text(t0), "sessions": fields{"event": "up"}})
		w.tellAs("b1", "pbx1", "buffers", buffers(1000+500*i, 1000+500*i))
		w.tellAs("b2", "pbx1", "buffers", buffers(9_000_000, 9_000_000, dropped("shed", 77)))
		w.pass(5 * time.Second)
	}
	s := w.of("pbx1")
	equal(t, "who speaks", s.Node, "b1")
	equal(t, "in", s.Rates.In, 100)
	equal(t, "state", s.State, StateWell)
	w.tellAs("b2", "pbx1", "ha", fields{"leader": "b2", "term": 8})
	w.tellAs("b2", "pbx1", "buffers", buffers(9_000_500, 9_000_000, dropped("shed", 77)))
	w.pass(5 * time.Second)
	w.tellAs("b2", "pbx1", "buffers", buffers(9_001_000, 9_000_500, dropped("shed", 77)))
	w.tellAs("b1", "pbx1", "buffers", buffers(5000, 5000))
	w.tellAs("b1", "pbx1", "ha", fields{"leader": "b1", "term": 7}) // it woke from a freeze
	s = w.of("pbx1")
	equal(t, "who speaks", s.Node, "b2")
	equal(t, "in", s.Rates.In, 100)
	equal(t, "state", s.State, StateWell)
	equal(t, "lost", w.snapshot().Totals.Lost, 0)
	w.pass(16 * time.Second)
	w.tellAs("b1", "pbx1", "buffers", buffers(6000, 6000))
	equal(t, "who speaks once that one is silent", w.of("pbx1").Node, "b1")
	w.tellAs("b1", "pbx1", "connection", fields{"role": "event", "to": "stopped", "reason": "shutdown", "sessions": fields{"event": "stopped"}})
	w.tellAs("b3", "pbx1", "buffers", buffers(1, 1))
	equal(t, "who speaks once that one stops", w.of("pbx1").Node, "b3")
}

// AMI_STATUS keeps a last word of servers that are long gone.
func TestModel_ForgetsServersOfThePast(t *testing.T) {
	t.Parallel()
	w := watch(t)
	old := text(at(-8 * 24 * time.Hour))
	w.Kept("ami.status.gone.breaker", []byte(`{"server":"gone","node":"b0","at":"`+old+`","since":"`+old+`","to":"closed","reason":"start","retry_at":""}`), w.now, w.now)
	w.pass(time.Second)
	equal(t, "while no bridge lives", w.of("gone").State, StateUnknown)
	w.node("b1", []string{"pbx1", "pbx2"})
	w.up("pbx2")
	w.pass(time.Second)
	equal(t, "servers", len(w.snapshot().Servers), 2)
	equal(t, "one that is named, and silent", w.of("pbx1").Word, "not known")
	w.node("b1", []string{"pbx1"}) // pbx2 is configured no more
	w.pass(14 * time.Second)
	equal(t, "servers, one of them left out just now", len(w.snapshot().Servers), 2)
	w.node("b1", []string{"pbx1"})
	w.pass(time.Second)
	equal(t, "servers, one of them left out", len(w.snapshot().Servers), 1)
}

// The servers of a bridge that has died stay, though another bridge lives.
func TestModel_KeepsServersOfADeadBridge(t *testing.T) {
	t.Parallel()
	w := watch(t)
	w.node("b1", []string{"pbx1", "never-heard"})
	w.up("pbx1")
	for range 24 {
		w.pass(time.Hour)
		w.node("b2", []string{"pbx2"})
		w.Tick(w.now)
	}
	equal(t, "servers", len(w.snapshot().Servers), 3)
	equal(t, "state", w.of("pbx1").Word, "not known since 28 Nov 03:00")
	equal(t, "bridges", len(w.snapshot().Bridges), 2)
	w.pass(7 * 24 * time.Hour)
	w.node("b2", []string{"pbx2"})
	w.Tick(w.now)
	equal(t, "servers a week later", len(w.snapshot().Servers), 1)
}

// A bridge's clock that is off does not make its servers silent, nor move its times.
func TestModel_ClocksThatAreOff(t *testing.T) {
	t.Parallel()
	for name, off := range map[string]time.Duration{"ahead": 10 * time.Minute, "behind": -10 * time.Minute, "a little": time.Second} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := watch(t)
			theirs := func(d time.Duration) string { return text(w.now.Add(off + d)) }
			shift := off
			if off < 2*time.Second && off > 0 {
				shift = 0 // so little is not looked at: it may be the way of the message
			}
			for range 3 {
				w.send("ami.status.pbx1.connection", fields{"server": "pbx1", "node": "b1", "at": theirs(0), "since": theirs(-time.Second), "role": "event",
					"to": "waiting", "reason": "dial", "error": "x", "retry_in_ms": 9000, "sessions": fields{"event": "waiting"}})
				w.pass(5 * time.Second)
			}
			v := w.of("pbx1").Verdict
			equal(t, "state", v.State, StateDown)
			same(t, "since", v.Since, at(-time.Second+off-shift))
			if d := v.Until.Sub(at(19 * time.Second)); d < 0 || d > time.Second {
				t.Errorf("until %v", v.Until)
			}
			w.pass(20 * time.Second)
			equal(t, "silent", w.of("pbx1").State, StateUnknown)
		})
	}
}

// A message that comes late, because the reader stood still, says nothing of the clock.
func TestModel_LateMessages(t *testing.T) {
	t.Parallel()
	w := watch(t)
	w.up("pbx1")
	w.node("b1", []string{"pbx1"})
	made := text(w.now)
	w.pass(10 * time.Minute)
	w.send("ami.status.pbx1.breaker", fields{"server": "pbx1", "node": "b1", "at": made, "since": made, "to": "closed", "reason": "start", "retry_at": ""})
	equal(t, "state", w.of("pbx1").State, StateUnknown)
	same(t, "since", w.of("pbx1").Since, t0)
}

// What becomes late and stays so is as old as it is: it is no clock that was set, but where the bridge says so, or the clock of
// who reads was. When it comes in time again it is that of now.
func TestModel_AllIsLate(t *testing.T) {
	t.Parallel()
	began := time.Now()
	for name, test := range map[string]struct {
		late, theirs, ours time.Duration
		state              State
	}{
		"late by 20 s":        {20 * time.Second, 0, 0, StateUnknown},
		"late by a minute":    {time.Minute, 0, 0, StateUnknown},
		"late by 3 s":         {3 * time.Second, 0, 0, StateWell},
		"its clock is set":    {0, -time.Minute, 0, StateWell},
		"ours is set":         {0, 0, time.Minute, StateWell},
		"ours is set, and it": {20 * time.Second, 0, time.Hour, StateUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := watch(t)
			w.now = began
			elapsed := time.Duration(0)
			round := func(late, theirs, ours time.Duration) {
				elapsed += 5 * time.Second
				w.now = clocktest.Set(t, began.Add(elapsed), ours)
				w.Tick(w.now)
				made := fields{"at": text(began.Round(0).Add(elapsed - late + theirs))}
				w.node("b1", []string{"pbx1"}, made, fields{"uptime_s": int((elapsed - late).Seconds()) + 1000})
				w.tell("pbx1", "buffers", buffers(1, 1, made))
			}
			w.up("pbx1")
			for range 3 {
				round(0, 0, 0)
			}
			for i := range 3 * skewPast {
				if round(test.late, test.theirs, test.ours); i < 3 {
					continue
				}
				equal(t, "state", w.of("pbx1").State, test.state)
				equal(t, "the bridge lives", w.snapshot().Bridges[0].Live, test.state == StateWell)
			}
			round(0, test.theirs, test.ours)
			equal(t, "state, in time again", w.of("pbx1").State, StateWell)
		})
	}
}

func TestDelivery(t *testing.T) {
	t.Parallel()
	w := watch(t)
	streams := func(state string) fields {
		return fields{"streams": []fields{{"name": "AMI_EVENTS", "state": state, "error": "no space", "differences": []any{}, "messages": 7, "bytes": 1 << 30, "since": text(t0)}},
			"leaf": fields{"connected": false, "since": text(t0)}, "audit_lost": 1, "log_lines_lost": 2, "requests_dropped": 3, "audit_queued": 4, "unanswered": []string{"any"}}
	}
	w.node("b1", []string{"pbx1"}, streams("ok"))
	w.pass(time.Second)
	w.node("b1", []string{"pbx1"}, streams("full"))
	d := w.snapshot().Bridges[0].Delivery
	equal(t, "way", d.Way, "fast_ingest")
	equal(t, "stream", fmt.Sprint(d.Streams[0].Name, d.Streams[0].State, d.Streams[0].Bytes), "AMI_EVENTSfull1073741824")
	equal(t, "leaf", d.Leaf.Connected, false)
	equal(t, "counts", fmt.Sprint(d.AuditLost, d.LogLinesLost, d.RequestsDropped, d.AuditQueued, d.Unanswered), "1 2 3 4 [any]")
	equal(t, "what changed", w.snapshot().Changes[0].What, "AMI_EVENTS: full")
}
