package bridge

import (
	"encoding/json"
	"fmt"
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
	budget := newOutboxBudget(total, 2)
	whole := budget.shared.Load()
	o := newOutbox(total, "gap", budget, func() {})
	other := newOutbox(total, "gap", budget, func() {})
	fill := func() (n int) {
		for ; o.account().dropped[dropTotal] == 0; n++ {
			o.push(pushed(n), make([]byte, 1000), false)
		}
		o.mu.Lock()
		o.dropped[dropTotal] = 0
		o.mu.Unlock()
		return n
	}
	first := fill()
	if left := budget.shared.Load(); left > total/8 {
		t.Fatalf("%d of what is shared are left of a full outbox", left)
	}
	for round := range 3 {
		for range room {
			o.take(nil)
		}
		o.rewind(nil, nil)
		o.stored(func(e *outboxEntry) bool { return e.seq%2 == 0 }) // some by the stream's word
		drain(t, o)
		if left := budget.shared.Load(); left != whole || o.account().bytes != 0 {
			t.Fatalf("round %d: %d of %d are free, %d bytes held", round, left, whole, o.account().bytes)
		}
		if n := fill(); n != first {
			t.Fatalf("round %d: %d events fill it, %d before", round, n, first)
		}
	}
	drain(t, o)
	for n := 0; other.account().dropped[dropTotal] == 0; n++ {
		other.push(pushed(n), make([]byte, 1000), false)
	}
	if held := other.account().highWater; held < total/4*3-2000 {
		t.Errorf("another has %d of %d: its floor and all that is shared", held, total)
	}
}

// What SHED_FIRST names goes from 80 % on, not before, until a quarter is free,
// and what it does not name stays.
func TestOutbox_ShedsOverFourFifthsUntilAQuarterIsFree(t *testing.T) {
	const room = 1000
	o := testOutbox(room * (entryBytes + 100))
	push := func(n int, shed bool) { o.push(pushed(n), fmt.Appendf(make([]byte, 96), "%04d", n), shed) }
	n := 0
	for ; n < room*4/5; n++ {
		push(n, n%2 == 0)
	}
	if a := o.account(); a.dropped[dropShed] != 0 {
		t.Fatalf("at 80 %% %d were shed", a.dropped[dropShed])
	}
	push(n, true)
	if a := o.account(); a.dropped[dropShed] != 1 || a.queued != room*4/5 {
		t.Fatalf("over 80 %% of what is to be shed %d were, %d are held", a.dropped[dropShed], a.queued)
	}
	n++
	push(n, false)
	a := o.account()
	if free := o.limit - a.bytes; free < o.limit/4-1000 || free > o.limit/4+4000 {
		t.Errorf("%d of %d are free", free, o.limit)
	}
	if a.dropped[dropShed] < 20 || a.dropped[dropShed] > room/4 {
		t.Errorf("%d were shed", a.dropped[dropShed])
	}
	kept := 0
	for _, e := range drain(t, o) {
		if len(e) == 100 {
			kept++
		}
	}
	if want := n + 1 - int(a.dropped[dropShed]); kept != want {
		t.Errorf("%d come out, want %d", kept, want)
	}
}

// What is lost for one reason is told by a Gap of that reason, next to one of
// another and never in it.
func TestOutbox_AGapNamesItsOwnReason(t *testing.T) {
	o := testOutbox(4 * (entryBytes + 100))
	for i := range 3 {
		o.push(pushed(i), make([]byte, 100), false)
		o.take(nil)
	}
	big := pushed(3)
	o.push(big, make([]byte, 10_000), false) // never fits
	o.push(pushed(4), make([]byte, 200), false)
	o.push(pushed(5), make([]byte, 200), false)
	o.push(pushed(6), make([]byte, 10_000), false)
	for range 3 {
		o.ack()
	}
	if diff := cmp.Diff([]string{dropOversize + ":1", dropOverflow + ":2", dropOversize + ":1"}, drain(t, o)); diff != "" {
		t.Error(diff)
	}
	if d := o.account().dropped; d[dropOversize] != 2 || d[dropOverflow] != 2 {
		t.Errorf("%v", d)
	}
}

// A Gap covers what is lost from the first to the last, is unknown if any of it
// is, and stays so through whatever it is merged with.
func TestGap_CoversAllOfWhatIsLost(t *testing.T) {
	at := func(s int64) int64 { return time.Unix(s, 0).UnixNano() }
	g := gap{reason: dropOverflow}
	for _, s := range []int64{20, 25, 30} {
		g.add(at(s))
	}
	if g.from != at(20) || g.to != at(30) || g.lost != 3 {
		t.Errorf("%+v", g)
	}
	for name, test := range map[string]struct {
		other    gap
		from, to int64
		lost     string
	}{
		"later":            {gap{from: at(40), to: at(50), lost: 2}, 20, 50, "5"},
		"earlier":          {gap{from: at(1), to: at(2), lost: 2}, 1, 30, "5"},
		"around it":        {gap{from: at(1), to: at(50), lost: 2}, 1, 50, "5"},
		"within":           {gap{from: at(21), to: at(22), lost: 2}, 20, 30, "5"},
		"nobody can know":  {gap{from: at(40), to: at(50), unknown: true}, 20, 50, "unknown"},
		"of a lost second": {gap{from: at(40), to: at(50), unknown: true, restarted: "yes"}, 20, 50, "unknown"},
	} {
		both := []gap{g, test.other}
		for i := range both { // either way round
			merged := both[i]
			merged.merge(&both[1-i])
			var told struct{ From, To, Lost, Restarted string }
			if err := json.Unmarshal(merged.appendTo(nil), &told); err != nil {
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
	o.push(pushed(1), make([]byte, 100), false)
	o.push(pushed(2), nil, false)
	if a := o.account(); a.bytes != 100+2*128 {
		t.Errorf("two events of 100 bytes cost %d", a.bytes)
	}
	o.pushGap("s", &gap{reason: gapRestart})
	if a := o.account(); a.bytes != 100+2*128+224 || a.highWater != a.bytes {
		t.Errorf("with a Gap %d, at most %d", a.bytes, a.highWater)
	}
	drain(t, o)
	if a := o.account(); a.bytes != 0 || a.highWater != 100+2*128+224 {
		t.Errorf("in the end %d, at most %d", a.bytes, a.highWater)
	}
	small := testOutbox(1000 * 128)
	for i := range 2000 {
		small.push(pushed(i), nil, false)
	}
	if a := small.account(); a.queued > 1000 {
		t.Errorf("%d empty events in an outbox for 1000", a.queued)
	}
}

// Once high the level stays so until the outbox is under 20 % again.
func TestOutbox_IsHighUntilItIsDrained(t *testing.T) {
	o := testOutbox(100 * entryBytes)
	for i := range 81 {
		o.push(pushed(i), nil, false)
	}
	for n := 81; n > 0; n-- {
		want := levelHigh
		if n < 20 {
			want = levelNormal
		}
		if a := o.account(); a.level != want {
			t.Fatalf("%v at %d %%", a.level, n)
		}
		o.take(nil)
		o.ack()
	}
}

// The Gap of an event that NATS refused has its time.
func TestOutbox_ARefusedEventsGapHasItsTime(t *testing.T) {
	o := testOutbox(1 << 20)
	for i := 1; i <= 3; i++ {
		o.push(pushed(i), nil, false)
		o.take(nil)
	}
	o.refuseSent(1)
	o.rewind(nil, nil)
	o.take(nil)
	_, _, told, ok := o.take(nil)
	if !ok || told == nil || told.from != 2 || told.to != 2 || told.lost != 1 {
		t.Errorf("%+v", told)
	}
	if a := o.account(); a.dropped[dropOversize] != 1 || a.received != a.queued+a.inFlight+1 {
		t.Errorf("%+v", a)
	}
}

// What a burst took is given back: spare blocks but for 512, and a long queue's
// ring.
func TestOutbox_GivesMemoryBack(t *testing.T) {
	budget := newOutboxBudget(1<<30, 1)
	o := newOutbox(1<<30, "gap", budget, func() {})
	for i := range keptBlocks + 100 {
		o.push(pushed(i), make([]byte, blockBytes), false)
	}
	drain(t, o)
	if n := len(budget.pool); n != keptBlocks {
		t.Errorf("%d blocks are kept", n)
	}
	for i := range 2 * deque.KeptRing {
		o.push(pushed(i), nil, false)
	}
	drain(t, o)
	if n := len(o.waits.Ring); n > deque.KeptRing {
		t.Errorf("the ring has room for %d", n)
	}
}
