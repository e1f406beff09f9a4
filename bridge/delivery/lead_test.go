package delivery

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/outbox"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/standby"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// testLead says what a server's events are sent behind, as package ha does.
type testLead struct {
	server *benchServer

	mu      sync.Mutex // protects the following
	next    Fence
	ok      bool
	refused int
}

// newTestLead has the outbox of s be a leader's.
func newTestLead(s *benchServer) *testLead {
	l := &testLead{server: s}
	epochs := 0
	s.outbox.Share(outbox.ShareOptions{Most: 1000, Drained: func() {}, Stored: l.stored, Epoch: func() string {
		epochs++
		return fmt.Sprint("e", epochs)
	}})
	tail, _ := s.outbox.Tail(s.name, time.Now())
	s.outbox.Begin(tail, nil)
	return l
}

func (l *testLead) fence() (Fence, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.next, l.ok
}

func (l *testLead) refuse() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ok = false
	l.refused++
}

func (l *testLead) stored() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.next.Whole = false
}

func (l *testLead) refusals() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.refused
}

// testLease is that of each fence.
const testLease = 400 * time.Millisecond

// let lets events go behind f.
func (l *testLead) let(f Fence) {
	l.mu.Lock()
	l.next, l.ok = f, true
	l.next.Lease = testLease
	l.mu.Unlock()
	l.server.source.Ready()
}

// sharedBench is a bench of servers that several bridges share, its publisher running, and
// a client.
func sharedBench(t *testing.T, names ...string) (*bench, *Publisher, *nats.Conn, jetstream.JetStream) {
	t.Helper()
	cfg := config.DefaultConfig()
	cfg.NATS.URL, cfg.HA = natstest.Start(t, t.TempDir(), 0).ClientURL(), true
	b, p := newBench(t, cfg, names...)
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	group.Go(func() { p.Run(ctx) })
	t.Cleanup(func() { cancel(); group.Wait() })
	nc, js := natstest.Client(t, cfg.NATS.URL)
	return b, p, nc, js
}

// term writes a record of the term of a server, and returns its sequence.
func term(t *testing.T, js jetstream.JetStream, server string) uint64 {
	t.Helper()
	ack, err := js.Publish(t.Context(), "ami.terms."+server, []byte("{}"))
	if err != nil {
		t.Fatal(err)
	}
	return ack.Sequence
}

// pushes pushes n events, called by their numbers.
func (s *benchServer) pushes(from, n int) {
	for i := range n {
		s.push(outbox.Entry{Subject: "ami.events." + s.name + ".Test", Session: "s", At: 1}, fmt.Appendf(nil, `{"N":%d}`, from+i), false)
	}
}

// ids are what the stream holds of a server.
func ids(t *testing.T, b *bench, server string) (all []standby.ID) {
	t.Helper()
	held, err := ReadSince(t.Context(), b.control, "ami.events."+server+".>", time.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range held.IDs {
		id, err := standby.ParseID(text)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, id)
	}
	return all
}

// wantNumbers wants the stream to hold the events 1 to n of one epoch, in order.
func wantNumbers(t *testing.T, b *bench, server string, n int) {
	t.Helper()
	all := ids(t, b, server)
	for i, id := range all {
		if id.Server != server || id.Epoch != all[0].Epoch || id.N != uint64(i+1) {
			t.Fatalf("at %d: %v", i, id)
		}
	}
	if len(all) != n {
		t.Fatalf("%d are stored, want %d", len(all), n)
	}
}

// Nothing is sent before there is a fence. The first event goes alone behind one on the
// server's events; then the first of each batch goes behind the term, and no other.
func TestLead_FencesStandBeforeTheFirstOfEachBatch(t *testing.T) {
	b, _, nc, js := sharedBench(t, "pbx1")
	s := b.servers[0]
	heard, err := nc.SubscribeSync("ami.events.>")
	if err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	s.pushes(0, 20)
	seq := term(t, js, "pbx1")
	if n, _, _ := heard.Pending(); n > 0 {
		t.Fatalf("%d were sent without a fence", n)
	}
	s.lead.let(Fence{Term: seq, Whole: true})
	fences := map[string][]string{}
	batches := map[string]bool{}
	for i := range 20 {
		if i == 1 {
			natstest.Within(t, "the first is stored", func() bool { f, _ := s.lead.fence(); return !f.Whole })
			s.source.Ready()
		}
		m, err := heard.NextMsg(natstest.Patience)
		if err != nil {
			t.Fatal(err)
		}
		tokens := strings.Split(m.Reply, ".")
		batch := tokens[len(tokens)-6] + "." + tokens[len(tokens)-7]
		if !strings.HasPrefix(batch, "incarnation-") {
			t.Fatalf("the batch is %s", m.Reply)
		}
		fence := m.Header.Get(lastSubject) + " " + m.Header.Get(lastSubjectSequence)
		if fence != " " {
			fences[batch] = append(fences[batch], fence)
		} else if !batches[batch] {
			t.Errorf("the first of batch %s has no fence", batch)
		}
		if i == 0 && fence != "ami.events.pbx1.> 0" || i > 0 && fence != " " && fence != fmt.Sprint("ami.terms.pbx1 ", seq) {
			t.Errorf("%d is behind %q", i, fence)
		}
		batches[batch] = true
	}
	for batch, all := range fences {
		if len(all) != 1 {
			t.Errorf("batch %s has the fences %q", batch, all)
		}
	}
	natstest.Within(t, "all are stored", func() bool { return b.left() == 0 })
	wantNumbers(t, b, "pbx1", 20)
}

// Whoever does not lead any more is refused, and told so; other servers in the same batch
// go on.
func TestLead_ARefusedFenceStopsItsServerOnly(t *testing.T) {
	b, _, nc, js := sharedBench(t, "pbx1", "pbx2")
	one, other := b.servers[0], b.servers[1]
	first := Fence{Term: term(t, js, "pbx1")}
	one.lead.let(first)
	other.lead.let(Fence{Term: term(t, js, "pbx2")})
	one.pushes(0, 10)
	other.pushes(0, 10)
	natstest.Within(t, "all are stored", func() bool { return b.left() == 0 })
	term(t, js, "pbx1") // another bridge claims it
	endBatches(t, nc)
	natstest.Within(t, "the lead of pbx1 is refused", func() bool {
		if one.outbox.Account().Left < 100 {
			one.pushes(0, 1)
		}
		other.pushes(0, 1)
		return one.lead.refusals() > 0
	})
	other.pushes(0, 10)
	natstest.Within(t, "all of pbx2 are stored", func() bool { return other.outbox.Account().Left == 0 })
	wantNumbers(t, b, "pbx2", int(other.outbox.Account().Published))
	if n := one.lead.refusals(); n != 1 {
		t.Errorf("pbx1 was told of %d refusals", n)
	}
	if _, ok := one.lead.fence(); ok || one.outbox.Account().Left == 0 {
		t.Error("pbx1 went on")
	}
}

// A leader's first event is refused if an event was stored since it looked.
func TestLead_TheFirstIsRefusedIfSomebodyStoredAnEvent(t *testing.T) {
	b, _, _, js := sharedBench(t, "pbx1")
	s := b.servers[0]
	if _, err := js.Publish(t.Context(), "ami.events.pbx1.Test", []byte("{}")); err != nil {
		t.Fatal(err)
	}
	s.pushes(0, 3)
	s.lead.let(Fence{Term: term(t, js, "pbx1"), Whole: true, Last: 7})
	natstest.Within(t, "it is refused", func() bool { return s.lead.refusals() == 1 })
	if a := s.outbox.Account(); a.Published != 0 {
		t.Errorf("%d were stored", a.Published)
	}
}

// endBatches ends the batches of the publisher.
func endBatches(t *testing.T, nc *nats.Conn) {
	for k := range SharedBatches {
		m := nats.NewMsg("ami.terms.pbx1")
		m.Reply = nc.NewInbox() + "." + BatchOf("incarnation", k) + ".1.fail.1099511627776.3.$FI"
		if err := nc.PublishMsg(m); err != nil {
			t.Error(err)
		}
	}
}

// A successor ends the batch that is open by its name alone. What was in flight goes out
// again in another, behind a fence.
func TestLead_AnybodyCanEndABatchByItsName(t *testing.T) {
	b, _, nc, js := sharedBench(t, "pbx1")
	s := b.servers[0]
	s.lead.let(Fence{Term: term(t, js, "pbx1")})
	stop := make(chan struct{})
	var group sync.WaitGroup
	group.Go(func() {
		for {
			endBatches(t, nc)
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond):
			}
		}
	})
	const all = 3000
	for i := range 30 {
		s.pushes(i*100, 100)
		natstest.Within(t, "some are stored", func() bool { return s.outbox.Account().Published >= uint64(i*100) })
	}
	natstest.Within(t, "all are stored", func() bool { return b.left() == 0 })
	close(stop)
	group.Wait()
	wantNumbers(t, b, "pbx1", all)
	stream, err := js.Stream(t.Context(), streams.EventStream)
	if err != nil {
		t.Fatal(err)
	}
	if n := stream.CachedInfo().State.Msgs; n != all+1 {
		t.Errorf("the stream has %d messages, want %d: what ends a batch is not stored", n, all+1)
	}
	if s.outbox.Account().Resent == 0 {
		t.Error("no batch was ended")
	}
}

// A batch takes no more when what was sent a moment ago is not acknowledged: it may be that
// this process was frozen meanwhile. The next begins behind a fence.
func TestLead_ABatchGoesOnWhileItIsHeardOf(t *testing.T) {
	start := time.Unix(1000, 0)
	at := func(d time.Duration) time.Time { return start.Add(d) }
	for name, test := range map[string]struct {
		d     *fastMode
		now   time.Duration
		goes  bool
		ended bool // the batch was
		fails bool
	}{
		"no batch":               {&fastMode{}, time.Hour, true, true, false},
		"just begun":             {&fastMode{batch: "b", begun: start, sent: 1, due: 1}, testLease - 1, true, false, false},
		"heard of":               {&fastMode{batch: "b", begun: start, ackedAt: at(time.Minute), sent: 9, acked: 8, due: 1}, time.Minute + testLease - 1, true, false, false},
		"idle":                   {&fastMode{batch: "b", begun: start, ackedAt: start, sent: 9, acked: 9, due: 1}, time.Second, true, true, false},
		"answers that are late":  {&fastMode{batch: "b", begun: start, sent: 9, acked: 8, due: 1}, testLease, false, false, false},
		"answers that are never": {&fastMode{batch: "b", begun: start, sent: 9, acked: 8, due: 100}, testLease, false, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			test.d.lead = &leadMode{next: Fence{Lease: testLease}}
			if goes := test.d.mayGoOn(at(test.now)); goes != test.goes || test.d.batch == "" != test.ended || test.d.failure != nil != test.fails {
				t.Errorf("it goes on: %v; the batch is %q, its failure %v", goes, test.d.batch, test.d.failure)
			}
		})
	}
}

// A stream that takes longer to answer than a batch goes on for has one event go at a time, which is told.
// One that answers sooner does not, however long that is.
func TestLead_AStreamThatAnswersLate(t *testing.T) {
	for lease, late := range map[time.Duration]bool{400 * time.Millisecond: true, 2 * time.Second: false} {
		core, lines := observer.New(zap.InfoLevel)
		w := newWindow(func(int) {})
		p := &Publisher{window: w, log: zap.New(core), lead: &leadMode{next: Fence{Lease: lease}}}
		p.fast = &fastMode{window: w, lead: p.lead}
		w.place(0, outbox.New(1<<20, "gap", outbox.NewBudget(1<<20, 1), func() {}))
		for range lateBatches {
			p.fast.begin(time.Now())
			p.fast.ring[1], p.fast.sent, p.fast.ending = ref{at: time.Now().Add(-500 * time.Millisecond)}, 1, true
			p.fast.ended(1)
			p.tellLate(time.Now())
		}
		if told := lines.Len(); told > 0 != late {
			t.Errorf("with a lease of %v it says %d times that the stream is late", lease, told)
		}
		if doubts := p.lead.doubt > 1; doubts != late { // the first has nothing before it
			t.Errorf("with a lease of %v each event goes alone: %v", lease, doubts)
		}
	}
}

// The publisher asks that before each event.
func TestLead_NothingGoesIntoABatchThatIsNotHeardOf(t *testing.T) {
	long := time.Now().Add(-time.Hour)
	d := &fastMode{lead: new(leadMode), batch: "b", begun: long, ackedAt: long, sent: 2, acked: 1, flow: 1, due: 1}
	if d.room() {
		t.Error("the next event may go into it")
	}
	if d.lead = nil; !d.room() {
		t.Error("it may not where nobody shares the servers")
	}
}

// Where bridges share servers nothing goes without fast ingest: it waits, and another way
// is not taken.
func TestLead_NothingGoesWithoutFastIngest(t *testing.T) {
	b, p, _, js := sharedBench(t, "pbx1")
	changeStream(t, b.cfg.NATS.URL, func(c *jetstream.StreamConfig) { c.AllowBatchPublish = false })
	s := b.servers[0]
	s.lead.let(Fence{Term: term(t, js, "pbx1")})
	s.pushes(0, 3)
	natstest.Within(t, "the stream refuses", func() bool { return s.outbox.Account().Resent > 1 })
	if a := s.outbox.Account(); a.Published != 0 || p.Mode() != modeFast {
		t.Errorf("%d are published by %s", a.Published, p.Mode())
	}
	changeStream(t, b.cfg.NATS.URL, func(c *jetstream.StreamConfig) { c.AllowBatchPublish = true })
	natstest.Within(t, "all are stored", func() bool { return b.left() == 0 })
	wantNumbers(t, b, "pbx1", 3)
}
