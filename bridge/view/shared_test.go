package view

import (
	"strings"
	"testing"
	"time"
)

// led is what a bridge says of a server that b1 leads.
func led(more ...fields) fields {
	return fields{"trigger": "interval", "leader": "b1", "term": 3, "since": text(t0), "reason": ""}.with(more...)
}

// A bridge that stands by knows of its own session alone: it calls no server ill that
// another one leads, and does not say that it is well when it does not know.
func TestStandsBy_IsNotIll(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		standbys []fields
		do       func(w *watched)
		state    State
		why      string
	}{
		"in sync": {[]fields{{"node": "b2", "state": "in_sync"}}, func(*watched) {}, StateWell, "b1 leads it. This bridge stands by, in sync."},
		"apart": {[]fields{{"node": "b2", "state": "apart", "reason": "overflow"}}, func(w *watched) {
			w.tellAs("b2", "pbx1", "buffers", buffers(9000, 0, fields{"outbox": outbox(capacity, "full")}))
		}, StateWell, "b1 leads it. This bridge stands by, apart: overflow."},
		"its action session is down": {[]fields{{"node": "b2", "state": "in_sync"}}, func(w *watched) {
			w.tellAs("b2", "pbx1", "connection", fields{"role": "action", "to": "waiting", "reason": "dial", "since": text(t0), "sessions": fields{"event": "up", "action": "waiting"}})
		}, StateWell, "b1 leads it. This bridge stands by, in sync."},
		"it is not read": {nil, func(w *watched) {
			w.tellAs("b2", "pbx1", "connection", fields{"role": "event", "to": "stopped", "reason": "shutdown", "since": text(t0), "sessions": fields{"event": "stopped"}})
		}, StateWell, "b1 leads it. This bridge does not read it: others do."},
		"its event session is down": {nil, func(w *watched) {
			w.tellAs("b2", "pbx1", "connection", fields{"role": "event", "to": "waiting", "reason": "dial", "since": text(t0), "sessions": fields{"event": "waiting"}})
		}, StateUnknown, "b1 leads it, and knows how it is. This bridge has no session of its own."},
		"what is up is stale": {[]fields{{"node": "b2", "state": "joining"}}, func(w *watched) {
			w.put("pbx1.server", fields{"state": "stale", "since": text(w.now)})
		}, StateWell, "b1 leads it. This bridge stands by, joining."},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := watch(t)
			w.node("b2", []string{"pbx1"})
			w.tellAs("b2", "pbx1", "ha", led(fields{"standbys": c.standbys}))
			w.tellAs("b2", "pbx1", "connection", fields{"role": "event", "to": "up", "since": text(t0), "sessions": fields{"event": "up"}})
			c.do(w)
			s := w.of("pbx1")
			equal(t, "state", s.State, c.state)
			equal(t, "word", s.Word, "led by b1")
			equal(t, "why", s.Why, c.why)
			h := w.snapshot().Headline
			if h.State.Ill() || c.state == StateUnknown && h.Text != "This bridge has no session of 1 of 1 server" {
				t.Errorf("the headline is %+v", h)
			}
		})
	}
}

// What a standby holds waits for no NATS, and fills nothing up.
func TestStandsBy_HoldsNothingThatWaits(t *testing.T) {
	t.Parallel()
	for leader, want := range map[string]struct {
		queued  uint64
		filling bool
		in      float64 // of all
	}{"b1": {0, false, 0}, "b2": {4005, true, 200}} {
		w := watch(t)
		for i := range int64(5) {
			w.node("b2", []string{"pbx1"})
			w.tellAs("b2", "pbx1", "ha", led(fields{"leader": leader}))
			w.tellAs("b2", "pbx1", "connection", fields{"role": "event", "to": "up", "since": text(t0), "sessions": fields{"event": "up"}})
			w.tellAs("b2", "pbx1", "buffers", buffers(uint64(1000*i), 0, fields{"queued": 1000 * i, "in_flight": 5, "outbox": outbox(i*5<<20, "normal")}))
			w.pass(5 * time.Second)
		}
		equal(t, "queued", w.snapshot().Totals.Queued, want.queued)
		equal(t, "filling", w.of("pbx1").Forecast != nil, want.filling)
		equal(t, "in, of all", orZero(w.snapshot().Totals.In), want.in)
		equal(t, "in, of the server", w.of("pbx1").Rates.In, 200)
	}
}

// What one that led said last is not taken for the word of the bridge that speaks now.
func TestStandsBy_IsTheSpeakersOwnWord(t *testing.T) {
	t.Parallel()
	w := watch(t)
	w.tellAs("b1", "pbx1", "ha", led())
	w.pass(time.Hour)
	w.tellAs("b2", "pbx1", "connection", fields{"role": "event", "to": "up", "since": text(w.now), "sessions": fields{"event": "up"}}) // shares it no more
	equal(t, "word", w.of("pbx1").Word, "up for 0 s")
}

// Where nobody leads whoever says so speaks for the server, and it is in trouble; down if no
// bridge has a session. A take-over in good time is no trouble.
func TestNobodyLeads(t *testing.T) {
	t.Parallel()
	w := watch(t)
	w.tellAs("b1", "pbx1", "ha", led())
	w.tellAs("b1", "pbx1", "connection", fields{"role": "event", "to": "up", "since": text(t0), "sessions": fields{"event": "up"}})
	w.pass(time.Second)
	nobody := func() {
		w.tellAs("b2", "pbx1", "ha", led(fields{"leader": "", "since": text(at(time.Second)), "reason": "no_claim", "standbys": []fields{{"node": "b2", "state": "in_sync"}}}))
	}
	nobody()
	equal(t, "who speaks", w.of("pbx1").Node, "b2")
	equal(t, "state at once", w.of("pbx1").State, StateWell)
	equal(t, "what changed", w.snapshot().Changes[0].What, "nobody leads")
	w.pass(5 * time.Second)
	nobody()
	s := w.of("pbx1")
	equal(t, "state", s.State, StateTrouble)
	same(t, "since", s.Since, at(time.Second))
	equal(t, "who leads", s.HA.Text(), "nobody leads, b2 in sync")
	if !strings.HasPrefix(s.Why, "No bridge leads it") {
		t.Errorf("why: %s", s.Why)
	}
	w.tellAs("b2", "pbx1", "connection", fields{"role": "event", "to": "waiting", "reason": "dial", "since": text(w.now), "sessions": fields{"event": "waiting"}})
	equal(t, "state without a session", w.of("pbx1").State, StateDown)
	w.tellAs("b1", "pbx1", "ha", led(fields{"term": 2})) // it woke from a freeze
	equal(t, "who speaks", w.of("pbx1").Node, "b2")
	w.tellAs("b1", "pbx1", "ha", led(fields{"term": 4, "standbys": []fields{{"node": "b2", "state": "apart", "reason": "differs"}}}))
	equal(t, "who speaks", w.of("pbx1").Node, "b1")
	equal(t, "who leads", w.of("pbx1").HA.Text(), "b1 leads, b2 apart: differs")
}

// How long a standby has been behind is said once that is more than the time between two
// words of its leader.
func TestStandby_Behind(t *testing.T) {
	t.Parallel()
	for lag, want := range map[any]string{
		nil: "b1 leads, b2 apart: behind", 0: "b1 leads, b2 apart: behind", 1.9: "b1 leads, b2 apart: behind", 2: "b1 leads, b2 apart: behind (lags 2 s)",
		75.5: "b1 leads, b2 apart: behind (lags 1 min 15 s)", 1e300: "b1 leads, b2 apart: behind (lags 1 d)", "x": "b1 leads, b2 apart: behind", -5: "b1 leads, b2 apart: behind",
	} {
		w := watch(t)
		w.tellAs("b1", "pbx1", "ha", led(fields{"standbys": []fields{{"node": "b2", "state": "apart", "reason": "behind", "lag": 7, "lag_s": lag}}}))
		equal(t, "who leads", w.of("pbx1").HA.Text(), want)
	}
}

// The other bridges are there as far as the one that is asked knows of them: of servers that
// it does not have as well.
func TestPeers(t *testing.T) {
	t.Parallel()
	w := watch(t)
	w.node("b2", []string{"pbx1"})
	w.tellAs("b2", "pbx1", "ha", led(fields{"standbys": []fields{{"node": "b2", "state": "in_sync"}}}))
	w.Peers([]Peer{{Node: "b1", At: w.now, Live: true, Leads: 3}, {Node: "b3", At: t0, StandsBy: 2}, {Node: "b4", At: w.now, Live: true, StandsBy: 2, InSync: 2}}, w.now)
	var got []string
	for _, b := range w.snapshot().Bridges {
		got = append(got, b.Node+":"+b.Role())
	}
	equal(t, "bridges", strings.Join(got, " "), "b1:leader b2:in sync b3:not known b4:in sync")
	if err := statusSchema(t).Validate(document(t, w.snapshot())); err != nil {
		t.Error(err)
	}
	equal(t, "NATS is up", w.snapshot().NATS.Up, true)
	w.Peers([]Peer{{Node: "b3", At: at(time.Second), Live: true, Leads: 1}}, w.now)
	equal(t, "b3", w.snapshot().Bridges[2].Role(), "leader")
	w.pass(2 * time.Hour)
	w.node("b2", []string{"pbx1"})
	w.pass(time.Second)
	if n := len(w.snapshot().Bridges); n != 1 {
		t.Errorf("%d bridges after hours of silence", n)
	}
}
