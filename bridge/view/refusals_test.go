package view

import (
	"testing"
	"time"
)

// Who has seen one word of a server has the rates that it says; who has seen more has what
// came in between. Of a server that is silent there are none.
func TestRates_OfOneWord(t *testing.T) {
	t.Parallel()
	w := watch(t)
	w.node("b1", []string{"pbx1"})
	w.connect("pbx1")
	w.tell("pbx1", "buffers", buffers(1000, 900, acts(10, 41)))
	if r := w.of("pbx1").Rates; r != nil {
		t.Errorf("of one word that says none: %+v", r)
	}
	said := fields{"rates": fields{"received": 412.25, "published": 400, "actions": 3.5}}
	w = watch(t)
	w.node("b1", []string{"pbx1"})
	w.connect("pbx1")
	w.tell("pbx1", "buffers", buffers(1000, 900, acts(10, 41), said, fields{"outbox": outbox(55<<20, "high")}))
	r := w.of("pbx1").Rates
	if r == nil {
		t.Fatal("of one word that says them: none")
	}
	equal(t, "in", r.In, 412.3)
	equal(t, "stored", r.Stored, 400)
	equal(t, "actions", *r.Actions, 3.5)
	equal(t, "p95", *r.P95, 41)
	equal(t, "points of a past that nobody has seen", len(r.InPast)+len(r.StoredPast)+len(r.P95Past), 0)
	equal(t, "why", w.of("pbx1").Why, "Outbox 86 % full: 412/s come in, NATS takes 400.")
	equal(t, "in of all", *w.snapshot().Totals.In, 412.3)
	w.pass(5 * time.Second)
	w.tell("pbx1", "buffers", buffers(1500, 1400, acts(30, 41), said))
	r = w.of("pbx1").Rates
	equal(t, "in, seen", r.In, 100)
	equal(t, "actions, seen", *r.Actions, 4)
	equal(t, "points", len(r.InPast), ringSize)
	w.pass(time.Minute)
	if r := w.of("pbx1").Rates; r != nil {
		t.Errorf("of a server that is silent: %+v", r)
	}
}

// The views say of refused requests how many, why, and which was the last, of each server
// and of those that no server had; of an earlier bridge that nothing is known.
func TestRefusals(t *testing.T) {
	t.Parallel()
	w := watch(t)
	w.node("b1", []string{"pbx1", "pbx2"})
	w.up("pbx1")
	w.tell("pbx1", "buffers", buffers(1, 1))
	if s := w.of("pbx1"); s.Refused != nil || s.Refused.Text(w.now) != "" || w.snapshot().Totals.Refused != nil {
		t.Errorf("of a bridge that does not say: %+v", s.Refused)
	}
	w.tell("pbx1", "buffers", buffers(1, 1, acts(0, 0)))
	equal(t, "none", w.of("pbx1").Refused.Text(w.now), "none refused")
	w.tell("pbx1", "buffers", buffers(1, 1, acts(0, 0, fields{
		"refused": fields{"busy": 1, "forbidden": 1100, "<b>": 7}, "last_refused": fields{"at": text(w.now), "action": "Originate\x1b[2J", "kind": "forbidden"},
	})))
	equal(t, "some", w.of("pbx1").Refused.Text(w.now), "1\u202f101 refused: 1\u202f100 forbidden, 1 busy; the last at "+Moment(Time{w.now}, w.now)+": Originate[2J, forbidden")
	w.node("b1", []string{"pbx1", "pbx2"}, fields{"refused": fields{"bad_request": 2}, "last_refused": nil})
	equal(t, "of no server", w.snapshot().Bridges[0].Refused.Text(w.now), "2 refused: 2 bad_request")
	equal(t, "of all", *w.snapshot().Totals.Refused, 1103)
}
