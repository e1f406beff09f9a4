package standby

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// fleet is bridges on one Asterisk and the stream between them.
type fleet struct {
	a        *asterisk
	spread   int
	bridges  []*bridge
	leader   int
	term     uint64
	stream   []stored
	inFlight []stored
	marks    []Mark
	now      time.Time
	takeOver int // that succeeded
	owed     int // largest
}

func newFleet(rng *rand.Rand, n, spread int, repeats float64, shared bool) *fleet {
	f := &fleet{
		a:      &asterisk{rng: rng, threads: 1 + rng.IntN(6), repeats: repeats, shared: shared},
		spread: spread, term: 1, now: time.Unix(0, 0),
	}
	for i := range n {
		b := &bridge{name: fmt.Sprint("b", i)}
		f.bridges = append(f.bridges, b)
		f.start(b)
	}
	f.bridges[0].leads, f.bridges[0].follows = NewLedger("e1", 7), nil
	return f
}

// start begins a bridge, or begins it anew, in the middle of what the Asterisk sends.
func (f *fleet) start(b *bridge) {
	if b.session != nil {
		f.a.logoff(b.session)
	}
	*b = bridge{name: b.name, session: f.a.login(f.spread), follows: NewFollower(1 << 17)}
	b.follows.Filter(7)
}

func (f *fleet) lead() *bridge { return f.bridges[f.leader] }

func (f *fleet) send(n int) { f.inFlight = append(f.inFlight, f.lead().send(n)...) }

func (f *fleet) store(n int) {
	n = min(n, len(f.inFlight))
	f.stream = append(f.stream, f.inFlight[:n]...)
	f.inFlight = f.inFlight[n:]
}

func (f *fleet) ack(rng *rand.Rand) {
	if len(f.stream) == 0 {
		return
	}
	from, to := f.lead().leads.Acked(), f.stream[len(f.stream)-1].id.N
	if to > from {
		f.lead().ack(from + 1 + rng.Uint64N(to-from))
	}
}

// mark has the leader say how far it is, and each standby hear it, or not.
func (f *fleet) mark(rng *rand.Rand, lost float64) {
	f.now = f.now.Add(250 * time.Millisecond)
	m := f.lead().leads.Mark(f.term)
	f.marks = append(f.marks, m)
	for _, b := range f.bridges {
		if rng.Float64() >= lost {
			b.hear(m, f.now)
		}
		if rng.IntN(4) == 0 { // an old one comes late
			b.hear(f.marks[rng.IntN(len(f.marks))], f.now)
		}
	}
}

// change has a standby that is in sync take over, if there is one. The leader is gone,
// or is deposed and stands by.
func (f *fleet) change(rng *rand.Rand, to int, deposed bool) error {
	b := f.bridges[to]
	if to == f.leader || b.follows == nil {
		return nil
	}
	if s, _ := b.follows.State(); s != InSync {
		return nil
	}
	f.store(rng.IntN(len(f.inFlight) + 1))
	f.inFlight = nil
	f.term++
	b.follows.Claim(f.term)
	tail := b.follows.Tail(testServer)
	for range 3 { // marks of the dead leader are still on their way
		if len(f.marks) > 0 {
			b.hear(f.marks[rng.IntN(len(f.marks))], f.now)
		}
	}
	b.hear(f.lead().leads.Mark(f.term-1), f.now)
	from := 0
	if n := int(b.follows.cutN); rng.IntN(2) == 0 && n > 0 {
		from = rng.IntN(min(n, len(f.stream)))
	}
	for _, s := range f.stream[from:] {
		tail.Add(s.id)
	}
	if err := b.takeOver(tail); err != nil {
		return fmt.Errorf("take-over %d: %w", f.takeOver, err)
	}
	n, _ := b.leads.Owed()
	f.owed = max(f.owed, n)
	old := f.lead()
	f.leader = to
	f.takeOver++
	if deposed {
		old.depose(f.term)
	} else {
		f.start(old)
	}
	return nil
}

// finish has all that the Asterisk sent be read, sent and stored.
func (f *fleet) finish() {
	f.store(len(f.inFlight))
	for len(f.lead().session.pending) > 0 || len(f.lead().held) > f.lead().sent {
		f.lead().read(1000)
		f.send(1000)
		f.store(1000)
		f.lead().ack(f.stream[len(f.stream)-1].id.N)
	}
}

// check compares what is stored with what was sent.
func (f *fleet) check() error {
	for i, s := range f.stream {
		if s.id.N != uint64(i+1) || s.id.Epoch != "e1" || s.id.Hash != s.hash() {
			return fmt.Errorf("message %d has the id %+v", i+1, s.id)
		}
	}
	if n, _ := f.lead().leads.Owed(); n != 0 {
		return fmt.Errorf("%d are owed in the end", n)
	}
	counts := map[int]int{}
	for _, e := range f.a.sent {
		counts[e.content]++
	}
	for _, s := range f.stream {
		counts[s.content]--
	}
	for content, n := range counts {
		if n != 0 {
			return fmt.Errorf("content %d: %d too few are stored, after %d take-overs", content, n, f.takeOver)
		}
	}
	if f.spread == 0 {
		return sameOrder(contents(f.a.sent, -1), f.storedOf(-1))
	}
	for thread := range f.a.threads {
		if err := sameOrder(contents(f.a.sent, thread), f.storedOf(thread)); err != nil {
			return fmt.Errorf("thread %d: %w", thread, err)
		}
	}
	return nil
}

func (f *fleet) storedOf(thread int) []int {
	events := make([]event, len(f.stream))
	for i, s := range f.stream {
		events[i] = s.event
	}
	return contents(events, thread)
}

func contents(events []event, thread int) (out []int) {
	for _, e := range events {
		if thread < 0 || e.thread == thread {
			out = append(out, e.content)
		}
	}
	return out
}

func sameOrder(want, got []int) error {
	if len(want) != len(got) {
		return fmt.Errorf("%d events, want %d", len(got), len(want))
	}
	for i := range want {
		if want[i] != got[i] {
			return fmt.Errorf("event %d is %d, want %d", i, got[i], want[i])
		}
	}
	return nil
}

// However bridges read, lag, hear or miss Marks, come, go and take over: what is stored
// is what the Asterisk sent, each once, numbered without a hole; in its order, or, where
// the sessions differ in order, in each thread's.
func TestTakeOver_StoresEachEventOnceInOrder(t *testing.T) {
	for name, order := range map[string]struct {
		spread int
		shared bool
	}{"same order": {0, true}, "order differs": {40, false}} {
		t.Run(name, func(t *testing.T) {
			total := map[string]int{}
			rapid.Check(t, func(t *rapid.T) {
				rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
				repeats := rapid.SampledFrom([]float64{0, 0.1, 0.4}).Draw(t, "repeats")
				f := newFleet(rng, rapid.IntRange(2, 4).Draw(t, "bridges"), order.spread, repeats, order.shared)
				burst := rapid.SampledFrom([]int{20, 200}).Draw(t, "burst")
				lost := rapid.SampledFrom([]float64{0, 0.3}).Draw(t, "lost")
				for range rapid.IntRange(1, 150).Draw(t, "steps") {
					f.a.raise(rng.IntN(burst))
					for i, b := range f.bridges {
						if i == f.leader || rng.IntN(3) > 0 {
							b.read(rng.IntN(2 * burst))
						}
					}
					f.send(rng.IntN(2 * burst))
					f.store(rng.IntN(2*burst + 1))
					f.ack(rng)
					f.mark(rng, lost)
					switch rng.IntN(12) {
					case 0, 1:
						if err := f.change(rng, rng.IntN(len(f.bridges)), rng.IntN(2) == 0); err != nil {
							t.Fatal(err)
						}
					case 2:
						if i := rng.IntN(len(f.bridges)); i != f.leader && rng.IntN(5) == 0 {
							f.start(f.bridges[i])
						}
					}
				}
				f.finish()
				if err := f.check(); err != nil {
					t.Fatal(err)
				}
				total["runs"]++
				total["take-overs"] += f.takeOver
				total["events"] += len(f.stream)
				total["with owed"] += min(1, f.owed)
			})
			t.Log(slices.Sorted(maps.Keys(total)), total)
			if total["runs"] >= 100 && (total["take-overs"] == 0 || total["with owed"] == 0) { // a short run tries fewer
				t.Error("too little was tried")
			}
		})
	}
}
