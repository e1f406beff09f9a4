package outbox

import (
	"encoding/json"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/clock"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/deque"
)

// What an outbox takes of what all share it gives back when it is drained, by
// acknowledgement, drop or reading the stream, however often it was filled.
func TestOutbox_GivesTheSharedBudgetBack(t *testing.T) {
	const total, room = 1 << 20, 64
	budget := NewBudget(total, 2)
	whole := budget.shared.Load()
	o := New(total, "gap", budget, func() {})
	other := New(total, "gap", budget, func() {})
	fill := func() (n int) {
		for ; o.Account().Dropped[DropTotal] == 0; n++ {
			o.Push(pushed(n), make([]byte, 1000), false)
		}
		o.mu.Lock()
		o.dropped[DropTotal] = 0
		o.mu.Unlock()
		return n
	}
	first := fill()
	if left := budget.shared.Load(); left > total/8 {
		t.Fatalf("%d of what is shared are left of a full outbox", left)
	}
	for round := range 3 {
		for range room {
			o.Take(nil)
		}
		o.Rewind(nil, nil)
		o.Stored(func(e *Entry) bool { return e.Seq%2 == 0 }) // some by the stream's word
		drain(t, o)
		if left := budget.shared.Load(); left != whole || o.Account().Bytes != 0 {
			t.Fatalf("round %d: %d of %d are free, %d bytes held", round, left, whole, o.Account().Bytes)
		}
		if n := fill(); n != first {
			t.Fatalf("round %d: %d events fill it, %d before", round, n, first)
		}
	}
	drain(t, o)
	for n := 0; other.Account().Dropped[DropTotal] == 0; n++ {
		other.Push(pushed(n), make([]byte, 1000), false)
	}
	if held := other.Account().HighWater; held < total/4*3-2000 {
		t.Errorf("another has %d of %d: its floor and all that is shared", held, total)
	}
}

// What SHED_FIRST names goes from 80 % on, not before, until a quarter is free,
// and what it does not name stays.
func TestOutbox_ShedsOverFourFifthsUntilAQuarterIsFree(t *testing.T) {
	const room = 1000
	o := testOutbox(room * (EntryBytes + 100))
	push := func(n int, shed bool) { o.Push(pushed(n), fmt.Appendf(make([]byte, 96), "%04d", n), shed) }
	n := 0
	for ; n < room*4/5; n++ {
		push(n, n%2 == 0)
	}
	if a := o.Account(); a.Dropped[DropShed] != 0 {
		t.Fatalf("at 80 %% %d were shed", a.Dropped[DropShed])
	}
	push(n, true)
	if a := o.Account(); a.Dropped[DropShed] != 1 || a.Queued != room*4/5 {
		t.Fatalf("over 80 %% of what is to be shed %d were, %d are held", a.Dropped[DropShed], a.Queued)
	}
	n++
	push(n, false)
	a := o.Account()
	if free := o.limit - a.Bytes; free < o.limit/4-1000 || free > o.limit/4+4000 {
		t.Errorf("%d of %d are free", free, o.limit)
	}
	if a.Dropped[DropShed] < 20 || a.Dropped[DropShed] > room/4 {
		t.Errorf("%d were shed", a.Dropped[DropShed])
	}
	kept := 0
	for _, e := range drain(t, o) {
		if len(e) == 100 {
			kept++
		}
	}
	if want := n + 1 - int(a.Dropped[DropShed]); kept != want {
		t.Errorf("%d come out, want %d", kept, want)
	}
}

// What is lost for one reason is told by a Gap of that reason, next to one of
// another and never in it.
func TestOutbox_AGapNamesItsOwnReason(t *testing.T) {
	o := testOutbox(4 * (EntryBytes + 100))
	for i := range 3 {
		o.Push(pushed(i), make([]byte, 100), false)
		o.Take(nil)
	}
	big := pushed(3)
	o.Push(big, make([]byte, 10_000), false) // never fits
	o.Push(pushed(4), make([]byte, 200), false)
	o.Push(pushed(5), make([]byte, 200), false)
	o.Push(pushed(6), make([]byte, 10_000), false)
	for range 3 {
		o.Ack()
	}
	if diff := cmp.Diff([]string{DropOversize + ":1", DropOverflow + ":2", DropOversize + ":1"}, drain(t, o)); diff != "" {
		t.Error(diff)
	}
	if d := o.Account().Dropped; d[DropOversize] != 2 || d[DropOverflow] != 2 {
		t.Errorf("%v", d)
	}
}

// A Gap covers what is lost from the first to the last, is unknown if any of it
// is, and stays so through whatever it is merged with.
func TestGap_CoversAllOfWhatIsLost(t *testing.T) {
	at := func(s int64) int64 { return time.Unix(s, 0).UnixNano() }
	g := Gap{Reason: DropOverflow}
	for _, s := range []int64{20, 25, 30} {
		g.add(at(s))
	}
	if g.From != at(20) || g.To != at(30) || g.Lost != 3 {
		t.Errorf("%+v", g)
	}
	for name, test := range map[string]struct {
		other    Gap
		from, to int64
		lost     string
	}{
		"later":            {Gap{From: at(40), To: at(50), Lost: 2}, 20, 50, "5"},
		"earlier":          {Gap{From: at(1), To: at(2), Lost: 2}, 1, 30, "5"},
		"around it":        {Gap{From: at(1), To: at(50), Lost: 2}, 1, 50, "5"},
		"within":           {Gap{From: at(21), To: at(22), Lost: 2}, 20, 30, "5"},
		"nobody can know":  {Gap{From: at(40), To: at(50), Unknown: true}, 20, 50, "unknown"},
		"of a lost second": {Gap{From: at(40), To: at(50), Unknown: true, Restarted: "yes"}, 20, 50, "unknown"},
	} {
		both := []Gap{g, test.other}
		for i := range both { // either way round
			merged := both[i]
			merged.merge(&both[1-i])
			var told struct{ From, To, Lost, Restarted string }
			if err := json.Unmarshal(merged.AppendJSON(nil), &told); err != nil {
				t.Fatal(err)
			}
			want := told
			want.From, want.To, want.Lost = clock.Stamp(time.Unix(test.from, 0)), clock.Stamp(time.Unix(test.to, 0)), test.lost
			if told != want {
				t.Errorf("%s: %+v, want %+v", name, told, want)
			}
		}
	}
}

// An event costs 128 bytes beside its payload, and a Gap 224: memory is bounded
// however small the events are.
func TestOutbox_CountsWhatEachCosts(t *testing.T) {
	o := testOutbox(1 << 20)
	o.Push(pushed(1), make([]byte, 100), false)
	o.Push(pushed(2), nil, false)
	if a := o.Account(); a.Bytes != 100+2*128 {
		t.Errorf("two events of 100 bytes cost %d", a.Bytes)
	}
	o.PushGap("s", &Gap{Reason: GapRestart})
	if a := o.Account(); a.Bytes != 100+2*128+224 || a.HighWater != a.Bytes {
		t.Errorf("with a Gap %d, at most %d", a.Bytes, a.HighWater)
	}
	drain(t, o)
	if a := o.Account(); a.Bytes != 0 || a.HighWater != 100+2*128+224 {
		t.Errorf("in the end %d, at most %d", a.Bytes, a.HighWater)
	}
	small := testOutbox(1000 * 128)
	for i := range 2000 {
		small.Push(pushed(i), nil, false)
	}
	if a := small.Account(); a.Queued > 1000 {
		t.Errorf("%d empty events in an outbox for 1000", a.Queued)
	}
}

// Once high the level stays so until the outbox is under 20 % again.
func TestOutbox_IsHighUntilItIsDrained(t *testing.T) {
	o := testOutbox(100 * EntryBytes)
	for i := range 81 {
		o.Push(pushed(i), nil, false)
	}
	for n := 81; n > 0; n-- {
		want := LevelHigh
		if n < 20 {
			want = LevelNormal
		}
		if a := o.Account(); a.Level != want {
			t.Fatalf("%v at %d %%", a.Level, n)
		}
		o.Take(nil)
		o.Ack()
	}
}

// The Gap of an event that NATS refused has its time.
func TestOutbox_ARefusedEventsGapHasItsTime(t *testing.T) {
	o := testOutbox(1 << 20)
	for i := 1; i <= 3; i++ {
		o.Push(pushed(i), nil, false)
		o.Take(nil)
	}
	o.RefuseSent(1)
	o.Rewind(nil, nil)
	o.Take(nil)
	_, _, told, ok := o.Take(nil)
	if !ok || told == nil || told.From != 2 || told.To != 2 || told.Lost != 1 {
		t.Errorf("%+v", told)
	}
	if a := o.Account(); a.Dropped[DropOversize] != 1 || a.Received != a.Queued+a.InFlight+1 {
		t.Errorf("%+v", a)
	}
}

// heap is what is in the heap once all garbage is collected, what a pool has too.
func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// What a burst took is given back: blocks, and a long queue's ring.
func TestOutbox_GivesMemoryBack(t *testing.T) {
	budget := NewBudget(1<<30, 1)
	o := New(1<<30, "gap", budget, func() {})
	before := heap()
	for i := range 500 {
		o.Push(pushed(i), make([]byte, blockBytes), false)
	}
	drain(t, o)
	if n := heap() - before; n > 2<<20 {
		t.Errorf("%d bytes are kept", n)
	}
	for i := range 2 * deque.KeptRing {
		o.Push(pushed(i), nil, false)
	}
	drain(t, o)
	if n := len(o.waiting.Ring); n > deque.KeptRing {
		t.Errorf("the ring has room for %d", n)
	}
}

// A thousand servers of one event each hold little beside the events.
func TestOutbox_AFewEventsTakeASmallBlock(t *testing.T) {
	budget := NewBudget(1<<30, 1)
	before := heap()
	var all []*Outbox
	for i := range 1000 {
		o := New(1<<20, "gap", budget, func() {})
		o.Push(pushed(i), make([]byte, 300), false)
		all = append(all, o)
	}
	if n := heap() - before; n > 10<<20 {
		t.Errorf("they hold %d bytes", n)
	}
	runtime.KeepAlive(all)
}
