package bridge

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestOutbox_KeepsOrderUntilAcknowledged(t *testing.T) {
	o := newOutbox(1<<20, newOutboxBudget(1<<20, 1))
	for i := range 3 {
		o.push(outboxEntry{subject: "s", seq: uint64(i)}, fmt.Append(nil, i))
	}
	drain := func() (got []string) {
		for {
			_, payload, _, ok := o.take(nil)
			if !ok {
				return got
			}
			got = append(got, string(payload))
		}
	}
	if diff := cmp.Diff([]string{"0", "1", "2"}, drain()); diff != "" {
		t.Errorf("first sending: %s", diff)
	}
	o.ack(0)
	if !o.rewind() {
		t.Error("rewind found nothing to send again")
	}
	if diff := cmp.Diff([]string{"1", "2"}, drain()); diff != "" {
		t.Errorf("after a rewind: %s", diff)
	}
	o.ack(2)
	if a := o.account(); a.published != 3 || a.bytes != 0 || a.inFlight != 0 {
		t.Errorf("account = %+v, want 3 published and nothing held", a)
	}
}

func TestOutbox_DropsTheOldestWhenFull(t *testing.T) {
	const room = 10
	o := newOutbox(room*(entryBytes+4), newOutboxBudget(1<<30, 1))
	for i := range 25 {
		o.push(outboxEntry{seq: uint64(i)}, fmt.Appendf(nil, "%04d", i))
	}
	e, payload, _, _ := o.take(nil)
	if e.seq != 15 || string(payload) != "0015" {
		t.Errorf("oldest is %d %q, want 15", e.seq, payload)
	}
	if a := o.account(); a.dropped[dropOverflow] != 15 || a.received != 25 {
		t.Errorf("account = %+v, want 15 of 25 dropped", a)
	}
	o.push(outboxEntry{}, make([]byte, 1<<20))
	if a := o.account(); a.dropped[dropOversize] != 1 || a.inFlight != 1 {
		t.Errorf("account = %+v: an event larger than the outbox must be dropped alone", a)
	}
}

func TestOutbox_FloodLeavesOthersTheirFloor(t *testing.T) {
	budget := newOutboxBudget(1<<20, 2)
	flood, quiet := newOutbox(1<<20, budget), newOutbox(1<<20, budget)
	for range 10_000 {
		flood.push(outboxEntry{}, make([]byte, 1000))
	}
	for range 100 {
		quiet.push(outboxEntry{}, make([]byte, 1000))
	}
	if a := quiet.account(); a.queued != 100 {
		t.Errorf("beside a flood the quiet server holds %d of 100 events", a.queued)
	}
	if a := flood.account(); a.dropped[dropTotal] == 0 || a.bytes > 3<<18 {
		t.Errorf("the flood dropped %d and holds %d bytes, want three quarters of the total at most", a.dropped[dropTotal], a.bytes)
	}
}

// An outbox does what a plain slice would, and the law holds after each step.
func TestOutbox_MatchesModel(t *testing.T) {
	type held struct {
		pos     uint64
		payload []byte
	}
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.IntRange(200, 5000).Draw(t, "limit")
		o := newOutbox(limit, newOutboxBudget(1<<30, 1))
		var model []held
		var sent, free uint64 // next to send, next free
		var published, dropped uint64
		size := func() (n int) {
			for _, h := range model {
				n += len(h.payload) + entryBytes
			}
			return n
		}
		t.Repeat(map[string]func(*rapid.T){
			"push": func(t *rapid.T) {
				payload := bytes.Repeat([]byte{byte(free)}, rapid.IntRange(0, 300).Draw(t, "size"))
				o.push(outboxEntry{seq: free}, payload)
				if len(payload)+entryBytes > limit {
					dropped++
					return
				}
				model = append(model, held{free, payload})
				free++
				for size() > limit {
					model = model[1:]
					dropped++
				}
				if len(model) > 0 {
					sent = max(sent, model[0].pos)
				}
			},
			"take": func(t *rapid.T) {
				_, payload, pos, ok := o.take(nil)
				if ok != (sent < free) {
					t.Fatalf("take = %v with next %d of %d", ok, sent, free)
				}
				if !ok {
					return
				}
				want := model[sent-model[0].pos]
				if pos != want.pos || !bytes.Equal(payload, want.payload) {
					t.Fatalf("took %d, want %d", pos, want.pos)
				}
				sent++
			},
			"ack": func(t *rapid.T) {
				pos := uint64(rapid.IntRange(0, int(free)+1).Draw(t, "pos"))
				o.ack(pos)
				for len(model) > 0 && model[0].pos <= pos && model[0].pos < sent {
					model = model[1:]
					published++
				}
			},
			"rewind": func(*rapid.T) {
				o.rewind()
				if len(model) > 0 {
					sent = model[0].pos
				} else {
					sent = free
				}
			},
			"": func(t *rapid.T) {
				a := o.account()
				if a.published != published || a.dropped[dropOverflow]+a.dropped[dropOversize] != dropped ||
					a.queued+a.inFlight != uint64(len(model)) || a.bytes != int64(size()) {
					t.Fatalf("account %+v, want %d published, %d dropped, %d held in %d bytes",
						a, published, dropped, len(model), size())
				}
				if a.received != a.published+dropped+a.queued+a.inFlight {
					t.Fatalf("the law is broken: %+v", a)
				}
			},
		})
	})
}

func TestOutbox_AllocatesNothing(t *testing.T) {
	o := newOutbox(1<<20, newOutboxBudget(1<<20, 1))
	payload, scratch := make([]byte, 400), make([]byte, 0, 1024)
	got := testing.AllocsPerRun(1000, func() {
		for range 10 {
			o.push(outboxEntry{subject: "s", session: "t"}, payload)
		}
		var pos uint64
		for {
			_, p, at, ok := o.take(scratch)
			if !ok {
				break
			}
			scratch, pos = p, at
		}
		o.ack(pos)
	})
	if got != 0 {
		t.Errorf("%v allocations for ten events, want 0", got)
	}
}

func BenchmarkOutbox(b *testing.B) {
	o := newOutbox(1<<20, newOutboxBudget(1<<20, 1))
	payload, scratch := make([]byte, 400), make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		o.push(outboxEntry{subject: "s", session: "t"}, payload)
		_, scratch, _, _ = o.take(scratch)
		o.ack(1 << 62)
	}
}
