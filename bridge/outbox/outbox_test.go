package outbox

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func testOutbox(limit int) *Outbox {
	return New(limit, "gap", NewBudget(1<<30, 1), func() {})
}

// drain takes everything and acknowledges it. Events are their payload, Gaps
// their reason and number.
func drain(t *testing.T, o *Outbox) (got []string) {
	t.Helper()
	for {
		e, payload, _, ok := o.Take(nil)
		if !ok {
			return got
		}
		if e.Gap > 0 {
			var g struct{ Reason, Lost string }
			if err := json.Unmarshal(payload, &g); err != nil {
				t.Fatalf("%v in %s", err, payload)
			}
			payload = []byte(g.Reason + ":" + g.Lost)
		}
		got = append(got, string(payload))
		o.Ack()
	}
}

func pushed(n int) Entry { return Entry{Session: "s", Seq: uint64(n), At: int64(n)} }

func TestOutbox_KeepsOrderUntilAcknowledged(t *testing.T) {
	o := testOutbox(1 << 20)
	for i := range 3 {
		o.Push(pushed(i), fmt.Append(nil, i), false)
	}
	for range 3 {
		o.Take(nil)
	}
	o.Ack()
	if !o.Rewind(nil, nil) {
		t.Error("rewind found nothing to send again")
	}
	if diff := cmp.Diff([]string{"1", "2"}, drain(t, o)); diff != "" {
		t.Errorf("after a rewind: %s", diff)
	}
	if a := o.Account(); a.Published != 3 || a.Bytes != 0 || a.Left != 0 {
		t.Errorf("account = %+v, want 3 published and nothing held", a)
	}
}

// When it is full the oldest go, as many at a time as leave one Gap, and in
// their place.
func TestOutbox_DropsTheOldestThatWait(t *testing.T) {
	const room = 64
	o := testOutbox(room * (EntryBytes + 4))
	for i := range room {
		o.Push(pushed(i), fmt.Appendf(nil, "%04d", i), false)
	}
	o.Take(nil) // 0 is in flight
	o.Push(pushed(room), fmt.Appendf(nil, "%04d", room), false)
	got := drain(t, o)
	// A sixteenth is four events.
	if diff := cmp.Diff([]string{"overflow:4", "0005", "0006"}, got[:3]); diff != "" {
		t.Error(diff)
	}
	if last := got[len(got)-1]; last != fmt.Sprintf("%04d", room) {
		t.Errorf("the last is %s", last)
	}
	if a := o.Account(); a.Dropped[DropOverflow] != 4 || a.Received != room+1 {
		t.Errorf("account = %+v", a)
	}
}

// With everything in flight there is nothing old to drop that is not likely to
// be stored: the newcomer goes, and the Gap is behind.
func TestOutbox_DropsNothingInFlight(t *testing.T) {
	const room = 64
	o := testOutbox(room * (EntryBytes + 4))
	for i := range room {
		o.Push(pushed(i), fmt.Appendf(nil, "%04d", i), false)
		o.Take(nil)
	}
	for i := range 3 {
		o.Push(pushed(room+i), []byte("late"), false)
	}
	for range room {
		o.Ack()
	}
	if diff := cmp.Diff([]string{"overflow:3"}, drain(t, o)); diff != "" {
		t.Error(diff)
	}
	if a := o.Account(); a.Published != room || a.Dropped[DropOverflow] != 3 {
		t.Errorf("account = %+v", a)
	}
}

// What SHED_FIRST names goes before the rest: what matters survives.
func TestOutbox_ShedsFirst(t *testing.T) {
	const room = 1000
	o := testOutbox(room * (EntryBytes + 100))
	hangups := 0
	for i := range 4 * room {
		if i%8 == 0 {
			o.Push(pushed(i), fmt.Appendf(make([]byte, 96), "%04d", i), false)
			hangups++
			continue
		}
		o.Push(pushed(i), make([]byte, 100), true)
	}
	a := o.Account()
	if a.Dropped[DropOverflow] != 0 || a.Dropped[DropShed] == 0 {
		t.Errorf("dropped %v, want only what may be shed", a.Dropped)
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
		t.Errorf("%d Gaps tell of %d events, want a few", gaps, a.Dropped[DropShed])
	}
}

func TestOutbox_FloodLeavesOthersTheirFloor(t *testing.T) {
	budget := NewBudget(1<<20, 2)
	flood, quiet := New(1<<20, "gap", budget, func() {}), New(1<<20, "gap", budget, func() {})
	for i := range 10_000 {
		flood.Push(pushed(i), make([]byte, 1000), false)
	}
	for i := range 100 {
		quiet.Push(pushed(i), make([]byte, 1000), false)
	}
	if a := quiet.Account(); a.Queued != 100 {
		t.Errorf("beside a flood the quiet server holds %d of 100 events", a.Queued)
	}
	if a := flood.Account(); a.Dropped[DropTotal] == 0 || a.Bytes > 3<<18+gapBytes {
		t.Errorf("the flood dropped %d and holds %d bytes, want three quarters of the total at most", a.Dropped[DropTotal], a.Bytes)
	}
}

func TestOutbox_RaisesTheAlarmAtTheEdgesOnly(t *testing.T) {
	alarms := 0
	o := New(64*(EntryBytes+4), "gap", NewBudget(1<<30, 1), func() { alarms++ })
	want := func(n int, l Level) {
		t.Helper()
		if a := o.Account(); alarms != n || a.Level != l {
			t.Errorf("%d alarms, level %v; want %d, %v", alarms, a.Level, n, l)
		}
	}
	for i := range 51 {
		o.Push(pushed(i), []byte("0000"), false)
	}
	want(0, LevelNormal)
	o.Push(pushed(51), []byte("0000"), false)
	want(1, LevelHigh)
	for i := range 100 {
		o.Push(pushed(i), []byte("0000"), false)
	}
	want(2, LevelFull)
	drain(t, o)
	want(3, LevelNormal)
}

// Whatever happens, the law holds after each step, memory is bounded, what is
// acknowledged comes in order, and the Gaps say exactly what was dropped.
func TestOutbox_LosesNothingSilently(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.IntRange(2000, 20_000).Draw(t, "limit")
		o := testOutbox(limit)
		n, last, lost := 0, 0, uint64(0)
		out := map[uint64]string{} // the Gaps that were sent, by number
		gaps := func() int {
			return o.waiting.Len() + o.retry.Len() + o.sent.Len() - int(o.queued+o.inFlight) - o.tombstones
		}
		ack := func() {
			if o.sent.Len() == 0 {
				return
			}
			s := *o.sent.At(0)
			switch {
			case s.gap != nil:
				lost += s.gap.Lost
				delete(out, s.Gap)
			case int(s.Seq) <= last:
				t.Fatalf("%d after %d", s.Seq, last)
			default:
				last = int(s.Seq)
			}
			o.Ack()
		}
		take := func() {
			e, payload, _, ok := o.Take(nil)
			if ok && e.Gap > 0 {
				// Perhaps it is stored already: under its number it stays the same.
				if before := out[e.Gap]; before != "" && before != string(payload) {
					t.Fatalf("a Gap that was sent as %s is now %s", before, payload)
				}
				out[e.Gap] = string(payload)
			}
			if ok && e.Gap == 0 && string(payload[:min(len(payload), 8)]) != fmt.Sprintf("%08d", e.Seq)[:min(len(payload), 8)] {
				t.Fatalf("event %d is %.8q", e.Seq, payload)
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"push": func(t *rapid.T) {
				for range rapid.IntRange(1, 20).Draw(t, "events") {
					n++
					size := rapid.IntRange(8, 2500).Draw(t, "size")
					o.Push(pushed(n), append(fmt.Appendf(nil, "%08d", n), make([]byte, size-8)...), rapid.Bool().Draw(t, "shed"))
				}
			},
			"lose":   func(*rapid.T) { n++; o.Refuse(pushed(n)) },
			"filter": func(*rapid.T) { o.Filter() },
			"take":   func(*rapid.T) { take() },
			"ack":    func(*rapid.T) { ack() },
			"rewind": func(*rapid.T) { o.Rewind(nil, nil) },
			"refuse": func(t *rapid.T) { o.RefuseSent(rapid.IntRange(-1, 5).Draw(t, "which")) },
			"": func(t *rapid.T) {
				a := o.Account()
				if sum := a.Published + total(a.Dropped) + a.Filtered + a.Queued + a.InFlight; sum != a.Received {
					t.Fatalf("the law is broken: %+v", a)
				}
				if extra := int64(gaps() * (EntryBytes + gapBytes)); a.Bytes > int64(limit)+extra {
					t.Fatalf("%d bytes of %d", a.Bytes, limit)
				}
			},
		})
		for o.waiting.Len()+o.retry.Len()+o.sent.Len() > 0 {
			take()
			ack()
		}
		a := o.Account()
		if a.Bytes != 0 || a.Left != 0 || a.Queued != 0 || a.InFlight != 0 || o.sheddable != 0 || o.tombstones != 0 {
			t.Fatalf("drained, it holds %+v", a)
		}
		if len(out) > 0 {
			t.Fatalf("these Gaps were sent and never acknowledged: %v", out)
		}
		if lost != total(a.Dropped) {
			t.Fatalf("the Gaps tell of %d events, %d were dropped", lost, total(a.Dropped))
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
			o.Push(Entry{Subject: "s", Session: "t"}, payload, false)
		}
		for range 10 {
			_, scratch, _, _ = o.Take(scratch)
			o.Ack()
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
				o.Push(Entry{Subject: "s", Session: "t"}, payload, false)
				if !full {
					_, scratch, _, _ = o.Take(scratch)
					o.Ack()
				}
			}
		})
	}
}

// The Gap of an event that NATS refused is told of once, like any other.
func TestOutbox_TellsOfARefusedEventOnce(t *testing.T) {
	o := New(1<<20, "gap", NewBudget(1<<20, 1), func() {})
	o.Push(Entry{At: 1}, []byte("{}"), false)
	o.Take(nil)
	o.RefuseSent(0)
	for n := range 2 {
		o.Rewind(nil, nil)
		_, payload, told, ok := o.Take(nil)
		if !ok || (told != nil) != (n == 0) || !strings.Contains(string(payload), DropOversize) {
			t.Errorf("sent for the %d. time: %s, told %v", n+1, payload, told)
		}
	}
}
