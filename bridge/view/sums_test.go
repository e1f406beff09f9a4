package view

import (
	"maps"
	"testing"
	"time"
)

// A total with a server that loses uncounted events has a plus; so has one with a gap of
// the last hour that nobody could count.
func TestTotals_Plus(t *testing.T) {
	t.Parallel()
	w := watch(t)
	w.up("pbx1")
	w.up("pbx2")
	w.pass(5 * time.Second)
	w.tell("pbx1", "buffers", buffers(50_000, 31_796, dropped("shed", 18204)))
	totals := w.snapshot().Totals
	equal(t, "lost", totals.Lost, 18204)
	equal(t, "plus", totals.LostMore, false)
	w.lose("pbx2", "dial", "x")
	equal(t, "plus while one is down", w.snapshot().Totals.LostMore, true)
	w.pass(5 * time.Second)
	w.up("pbx2")
	equal(t, "plus before its gap is told", w.snapshot().Totals.LostMore, true)
	w.tell("pbx2", "gap", fields{"from": text(at(5 * time.Second)), "to": text(w.now), "reason": "dial", "lost": nil, "restarted": true})
	equal(t, "plus after its gap", w.snapshot().Totals.LostMore, true)
	w.pass(time.Hour)
	totals = w.snapshot().Totals
	equal(t, "lost an hour later", totals.Lost, 0)
	equal(t, "plus an hour later", totals.LostMore, false)
	same(t, "lost since", totals.LostSince, w.now.Add(-time.Hour))
}

// What a stream kept of a loss counts for who looks late, once.
func TestTotals_LostBeforeAnybodyLooked(t *testing.T) {
	t.Parallel()
	w := watch(t)
	w.pass(time.Second)
	kept := func(ago time.Duration, lost string) {
		now := text(w.now.Add(-ago))
		w.Kept("ami.status.pbx1.gap", []byte(`{"server":"pbx1","node":"b1","at":"`+now+`","from":"`+now+`","to":"`+now+`","reason":"shed","lost":`+lost+`,"restarted":null}`), w.now, w.now)
	}
	kept(10*time.Minute, "9120")
	kept(2*time.Hour, "7")
	kept(10*time.Minute, "9120") // told again after NATS was lost
	w.connect("pbx1")
	equal(t, "lost", w.snapshot().Totals.Lost, 9120)
	equal(t, "gaps", len(w.of("pbx1").Gaps), 2)
	w.tell("pbx1", "buffers", buffers(10, 10, dropped("shed", 9120)))
	equal(t, "lost, by the count since the start", w.snapshot().Totals.Lost, 9120)
}

func TestTotals_OfAllServers(t *testing.T) {
	t.Parallel()
	w := watch(t)
	w.up("pbx1")
	w.up("pbx2")
	w.pass(5 * time.Second)
	w.tell("pbx1", "buffers", buffers(1000, 900, acts(10, 41)))
	w.tell("pbx2", "buffers", buffers(50, 50))
	w.pass(2 * time.Second)
	w.tell("pbx1", "buffers", buffers(1400, 1260, acts(40, 41)))
	totals := w.snapshot().Totals
	equal(t, "in", *totals.In, 210)
	equal(t, "stored", *totals.Stored, 190)
	equal(t, "queued", totals.Queued, 140)
	equal(t, "actions", *totals.Actions, 15)
	equal(t, "p95", *w.of("pbx1").Rates.P95, 41)
	if totals.Calls != nil || w.snapshot().Floor != nil {
		t.Error("there is a floor, though no bridge keeps the state")
	}
}

// Ten minutes of a rate, in steps of ten seconds; a message between two intervals is no
// rate of its own.
func TestRates(t *testing.T) {
	t.Parallel()
	w := watch(t)
	w.up("pbx1")
	n := uint64(0)
	for range 200 {
		w.pass(5 * time.Second)
		n += 500
		w.tell("pbx1", "buffers", buffers(n, n/2))
	}
	r := w.of("pbx1").Rates
	equal(t, "in", r.In, 100)
	equal(t, "stored", r.Stored, 50)
	equal(t, "points", len(r.InPast), 60)
	for i, in := range r.InPast[:59] { // the last is not over
		equal(t, "in of ten seconds", in, 1000)
		equal(t, "stored of ten seconds", r.StoredPast[i], 500)
	}
	w.pass(time.Millisecond)
	w.tell("pbx1", "buffers", buffers(n+400, n/2, fields{"trigger": "high"}))
	equal(t, "in, a millisecond later", w.of("pbx1").Rates.In, 100)
	w.pass(5*time.Second - time.Millisecond)
	w.tell("pbx1", "buffers", buffers(n+500, n/2))
	equal(t, "in", w.of("pbx1").Rates.In, 100)
	w.pass(time.Hour)
	w.tell("pbx1", "buffers", buffers(n+500, n/2))
	w.pass(time.Second)
	for _, in := range w.of("pbx1").Rates.InPast {
		equal(t, "an hour later", in, 0)
	}
}

// The accounting line is that of one message, and adds up.
func TestAccounting_OfOneMessage(t *testing.T) {
	t.Parallel()
	w := watch(t)
	w.up("pbx1")
	w.pass(5 * time.Second)
	w.tell("pbx1", "buffers", buffers(41_208_118, 40_718_226, fields{"filtered": 402_119, "queued": 67_521, "in_flight": 2_048}, dropped("shed", 18_204)))
	a := w.of("pbx1").Account
	equal(t, "the sum", a.Published+a.Filtered+a.Queued+a.InFlight+a.Released+a.DroppedSum(), a.Received)
	equal(t, "reasons", maps.Equal(a.Dropped, map[string]uint64{"shed": 18204}), true)
	same(t, "at", a.At, w.now)
}

// A gap is open while drops go on and none is told, and while the event session is away.
func TestGaps(t *testing.T) {
	t.Parallel()
	w := watch(t)
	w.up("pbx1")
	w.pass(5 * time.Second)
	w.tell("pbx1", "buffers", buffers(100, 50, dropped("shed", 50)))
	gaps := w.of("pbx1").Gaps
	equal(t, "gaps while it drops", len(gaps), 1)
	equal(t, "open", gaps[0].To.IsZero(), true)
	equal(t, "reason", gaps[0].Reason, "shed")
	equal(t, "lost", count(gaps[0].Lost), "50")
	w.tell("pbx1", "gap", fields{"from": text(t0), "to": text(w.now), "reason": "shed", "lost": 50, "restarted": nil})
	gaps = w.of("pbx1").Gaps
	equal(t, "gaps once it is told", len(gaps), 1)
	same(t, "its end", gaps[0].To, w.now)
	w.pass(time.Minute)
	w.up("pbx1")
	w.lose("pbx1", "read", "x")
	gaps = w.of("pbx1").Gaps
	equal(t, "gaps while it is down", len(gaps), 2)
	equal(t, "lost", count(gaps[0].Lost), "unknown")
	same(t, "from", gaps[0].From, w.now)
	for i := range 3 * keptGaps {
		to := text(w.now.Add(time.Duration(i) * time.Second))
		w.tell("pbx1", "gap", fields{"from": to, "to": to, "reason": "closed", "lost": nil, "restarted": false})
	}
	equal(t, "gaps kept", len(w.of("pbx1").Gaps), keptGaps+1)
	same(t, "the newest first", w.of("pbx1").Gaps[1].To, w.now.Add((3*keptGaps-1)*time.Second))
}
