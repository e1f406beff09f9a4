package bridge

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func testOutbox(limit int) *outbox {
	return newOutbox(limit, "gap", newOutboxBudget(1<<30, 1), func() {})
}

// drain takes everything and acknowledges it. Events are their payload, Gaps
// their reason and number.
func drain(t *testing.T, o *outbox) (got []string) {
	t.Helper()
	for {
		e, payload, _, ok := o.take(nil)
		if !ok {
			return got
		}
		if e.gap > 0 {
			var g struct{ Reason, Lost string }
			if err := json.Unmarshal(payload, &g); err != nil {
				t.Fatalf("%v in %s", err, payload)
			}
			payload = []byte(g.Reason + ":" + g.Lost)
		}
		got = append(got, string(payload))
		o.ack()
	}
}

func pushed(n int) outboxEntry { return outboxEntry{session: "s", seq: uint64(n), at: int64(n)} }

func TestOutbox_KeepsOrderUntilAcknowledged(t *testing.T) {
	o := testOutbox(1 << 20)
	for i := range 3 {
		o.push(pushed(i), fmt.Append(nil, i), false)
	}
	for range 3 {
		o.take(nil)
	}
	o.ack()
	if !o.rewind(nil, nil) {
		t.Error("rewind found nothing to send again")
	}
	if diff := cmp.Diff([]string{"1", "2"}, drain(t, o)); diff != "" {
		t.Errorf("after a rewind: %s", diff)
	}
	if a := o.account(); a.published != 3 || a.bytes != 0 || a.left != 0 {
		t.Errorf("account = %+v, want 3 published and nothing held", a)
	}
}

// When it is full the oldest go, as many at a time as leave one Gap, and in
// their place.
func TestOutbox_DropsTheOldestThatWait(t *testing.T) {
	const room = 64
	o := testOutbox(room * (entryBytes + 4))
	for i := range room {
		o.push(pushed(i), fmt.Appendf(nil, "%04d", i), false)
	}
	o.take(nil) // 0 is in flight
	o.push(pushed(room), fmt.Appendf(nil, "%04d", room), false)
	got := drain(t, o)
	// A sixteenth is four events.
	if diff := cmp.Diff([]string{"overflow:4", "0005", "0006"}, got[:3]); diff != "" {
		t.Error(diff)
	}
	if last := got[len(got)-1]; last != fmt.Sprintf("%04d", room) {
		t.Errorf("the last is %s", last)
	}
	if a := o.account(); a.dropped[dropOverflow] != 4 || a.received != room+1 {
		t.Errorf("account = %+v", a)
	}
}

// With everything in flight there is nothing old to drop that is not likely to
// be stored: the newcomer goes, and the Gap is behind.
func TestOutbox_DropsNothingInFlight(t *testing.T) {
	const room = 64
	o := testOutbox(room * (entryBytes + 4))
	for i := range room {
		o.push(pushed(i), fmt.Appendf(nil, "%04d", i), false)
		o.take(nil)
	}
	for i := range 3 {
		o.push(pushed(room+i), []byte("late"), false)
	}
	for range room {
		o.ack()
	}
	if diff := cmp.Diff([]string{"overflow:3"}, drain(t, o)); diff != "" {
		t.Error(diff)
	}
	if a := o.account(); a.published != room || a.dropped[dropOverflow] != 3 {
		t.Errorf("account = %+v", a)
	}
}

// What SHED_FIRST names goes before the rest: what matters survives.
func TestOutbox_ShedsFirst(t *testing.T) {
	const room = 1000
	o := testOutbox(room * (entryBytes + 100))
	hangups := 0
	for i := range 4 * room {
		if i%8 == 0 {
			o.push(pushed(i), fmt.Appendf(make([]byte, 96), "%04d", i), false)
			hangups++
			continue
		}
		o.push(pushed(i), make([]byte, 100), true)
	}
	a := o.account()
	if a.dropped[dropOverflow] != 0 || a.dropped[dropShed] == 0 {
		t.Errorf("dropped %v, want only what may be shed", a.dropped)
	}
	left, gaps := 0, 0
	for _, event := range drain(t, o) {
		if len(event) == 100 && event[99] != 0 {
			left++
		} else if len(event) < 100 {
			gaps++
		}
	}
	if left != hangups {
		t.Errorf("%d of %d that are not to be shed are left", left, hangups)
	}
	if gaps == 0 || gaps > 10 {
		t.Errorf("%d Gaps tell of %d events, want a few", gaps, a.dropped[dropShed])
	}
}

func TestOutbox_FloodLeavesOthersTheirFloor(t *testing.T) {
	budget := newOutboxBudget(1<<20, 2)
	flood, quiet := newOutbox(1<<20, "gap", budget, func() {}), newOutbox(1<<20, "gap", budget, func() {})
	for i := range 10_000 {
		flood.push(pushed(i), make([]byte, 1000), false)
	}
	for i := range 100 {
		quiet.push(pushed(i), make([]byte, 1000), false)
	}
	if a := quiet.account(); a.queued != 100 {
		t.Errorf("beside a flood the quiet server holds %d of 100 events", a.queued)
	}
	if a := flood.account(); a.dropped[dropTotal] == 0 || a.bytes > 3<<18+gapBytes {
		t.Errorf("the flood dropped %d and holds %d bytes, want three quarters of the total at most", a.dropped[dropTotal], a.bytes)
	}
}

func TestOutbox_RaisesTheAlarmAtTheEdgesOnly(t *testing.T) {
	alarms := 0
	o := newOutbox(64*(entryBytes+4), "gap", newOutboxBudget(1<<30, 1), func() { alarms++ })
	want := func(n int, l level) {
		t.Helper()
		if a := o.account(); alarms != n || a.level != l {
			t.Errorf("%d alarms, level %v; want %d, %v", alarms, a.level, n, l)
		}
	}
	for i := range 51 {
		o.push(pushed(i), []byte("0000"), false)
	}
	want(0, levelNormal)
	o.push(pushed(51), []byte("0000"), false)
	want(1, levelHigh)
	for i := range 100 {
		o.push(pushed(i), []byte("0000"), false)
	}
	want(2, levelFull)
	drain(t, o)
	want(3, levelNormal)
}

// Whatever happens, the law holds after each step, memory is bounded, what is
// acknowledged comes in order, and the Gaps say exactly what was dropped.
func TestOutbox_LosesNothingSilently(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.IntRange(2000, 20_000).Draw(t, "limit")
		o := testOutbox(limit)
		n, last, lost := 0, 0, uint64(0)
		out := map[uint64]string{} // the Gaps that were sent, by number
		gaps := func() int { return o.waits.Len() + o.again.Len() + o.sent.Len() - int(o.queued+o.inFlight) - o.dead }
		ack := func() {
			if o.sent.Len() == 0 {
				return
			}
			s := *o.sent.At(0)
			switch {
			case s.hole != nil:
				lost += s.hole.lost
				delete(out, s.gap)
			case int(s.seq) <= last:
				t.Fatalf("%d after %d", s.seq, last)
			default:
				last = int(s.seq)
			}
			o.ack()
		}
		take := func() {
			e, payload, _, ok := o.take(nil)
			if ok && e.gap > 0 {
				// Perhaps it is stored already: under its number it stays the same.
				if before := out[e.gap]; before != "" && before != string(payload) {
					t.Fatalf("a Gap that was sent as %s is now %s", before, payload)
				}
				out[e.gap] = string(payload)
			}
			if ok && e.gap == 0 && string(payload[:min(len(payload), 8)]) != fmt.Sprintf("%08d", e.seq)[:min(len(payload), 8)] {
				t.Fatalf("event %d is %.8q", e.seq, payload)
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"push": func(t *rapid.T) {
				for range rapid.IntRange(1, 20).Draw(t, "events") {
					n++
					size := rapid.IntRange(8, 2500).Draw(t, "size")
					o.push(pushed(n), append(fmt.Appendf(nil, "%08d", n), make([]byte, size-8)...), rapid.Bool().Draw(t, "shed"))
				}
			},
			"lose":   func(*rapid.T) { n++; o.refuse(pushed(n)) },
			"filter": func(*rapid.T) { o.filter() },
			"take":   func(*rapid.T) { take() },
			"ack":    func(*rapid.T) { ack() },
			"rewind": func(*rapid.T) { o.rewind(nil, nil) },
			"refuse": func(t *rapid.T) { o.refuseSent(rapid.IntRange(-1, 5).Draw(t, "which")) },
			"": func(t *rapid.T) {
				a := o.account()
				if sum := a.published + total(a.dropped) + a.filtered + a.queued + a.inFlight; sum != a.received {
					t.Fatalf("the law is broken: %+v", a)
				}
				if extra := int64(gaps() * (entryBytes + gapBytes)); a.bytes > int64(limit)+extra {
					t.Fatalf("%d bytes of %d", a.bytes, limit)
				}
			},
		})
		for o.waits.Len()+o.again.Len()+o.sent.Len() > 0 {
			take()
			ack()
		}
		a := o.account()
		if a.bytes != 0 || a.left != 0 || a.queued != 0 || a.inFlight != 0 || o.sheddable != 0 || o.dead != 0 {
			t.Fatalf("drained, it holds %+v", a)
		}
		if len(out) > 0 {
			t.Fatalf("these Gaps were sent and never acknowledged: %v", out)
		}
		if lost != total(a.dropped) {
			t.Fatalf("the Gaps tell of %d events, %d were dropped", lost, total(a.dropped))
		}
	})
}

func total(dropped map[string]uint64) (n uint64) {
	for _, d := range dropped {
		n += d
	}
	return n
}

func TestOutbox_AllocatesNothing(t *testing.T) {
	o := testOutbox(1 << 20)
	payload, scratch := make([]byte, 400), make([]byte, 0, 1024)
	got := testing.AllocsPerRun(1000, func() {
		for range 10 {
			o.push(outboxEntry{subject: "s", session: "t"}, payload, false)
		}
		for range 10 {
			_, scratch, _, _ = o.take(scratch)
			o.ack()
		}
	})
	if got != 0 {
		t.Errorf("%v allocations for ten events, want 0", got)
	}
}

func BenchmarkOutbox(b *testing.B) {
	for _, full := range []bool{false, true} {
		b.Run("full "+strconv.FormatBool(full), func(b *testing.B) {
			o := testOutbox(1 << 20)
			payload, scratch := make([]byte, 400), make([]byte, 0, 1024)
			b.ReportAllocs()
			for b.Loop() {
				o.push(outboxEntry{subject: "s", session: "t"}, payload, false)
				if !full {
					_, scratch, _, _ = o.take(scratch)
					o.ack()
				}
			}
		})
	}
}

// The Gap of an event that NATS refused is told of once, like any other.
func TestOutbox_TellsOfARefusedEventOnce(t *testing.T) {
	o := newOutbox(1<<20, "gap", newOutboxBudget(1<<20, 1), func() {})
	o.push(outboxEntry{at: 1}, []byte("{}"), false)
	o.take(nil)
	o.refuseSent(0)
	for n := range 2 {
		o.rewind(nil, nil)
		_, payload, told, ok := o.take(nil)
		if !ok || (told != nil) != (n == 0) || !strings.Contains(string(payload), dropOversize) {
			t.Errorf("sent for the %d. time: %s, told %v", n+1, payload, told)
		}
	}
}
