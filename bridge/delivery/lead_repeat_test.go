package delivery

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/outbox"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/standby"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// takenOver has another bridge claim the term of a server, end the batches of the one before, and
// store the events that are its next, and after those another.
func (s *benchServer) takenOver(t *testing.T, b *bench, nc *nats.Conn, js jetstream.JetStream, n, repeats uint64) {
	t.Helper()
	term(t, js, s.name)
	endBatches(t, nc)
	epoch := ids(t, b, s.name)[0].Epoch
	for i := range repeats {
		s.stored(t, js, epoch, n+i, fmt.Sprintf(`{"N":%d}`, n+i-1))
	}
	s.stored(t, js, epoch, n+repeats, `{"of another thread":1}`)
}

// stored has another bridge store the n'th event of an epoch.
func (s *benchServer) stored(t *testing.T, js jetstream.JetStream, epoch string, n uint64, text string) {
	t.Helper()
	m := nats.NewMsg("ami.events." + s.name + ".Test")
	m.Data = []byte(text)
	m.Header.Set("Nats-Msg-Id", string(standby.ID{Server: s.name, Epoch: epoch, N: n, Hash: standby.Hash(m.Data)}.AppendTo(nil)))
	if _, err := js.PublishMsg(t.Context(), m); err != nil {
		t.Fatal(err)
	}
}

// A leader that was frozen may have as its next event the one that its successor has stored,
// by the same id. nats-server takes that for a repeat before it looks at the fence, and
// what is behind it in the batch has none. None of it is stored: where the sessions differ in
// order it would be there twice.
func TestLead_NothingIsStoredBehindARepeatThatHidTheFence(t *testing.T) {
	for name, pause := range map[string]bool{"after a pause": true, "at once": false} {
		t.Run(name, func(t *testing.T) {
			b, p, nc, js := sharedBench(t, "pbx1", "pbx2")
			s, other := b.servers[0], b.servers[1]
			s.lead.let(Fence{Term: term(t, js, "pbx1")})
			other.lead.let(Fence{Term: term(t, js, "pbx2")})
			s.pushes(0, 5)
			natstest.Within(t, "all are stored", func() bool { return b.left() == 0 })
			s.takenOver(t, b, nc, js, 6, 1)
			if pause {
				natstest.Within(t, "it was frozen for a while", func() bool {
					p.fast.mu.Lock()
					defer p.fast.mu.Unlock()
					return !standby.MayGoOn(p.fast.ackedAt, time.Now(), testLease)
				})
			} else { // what it sends next is refused, and sent again
				endBatches(t, nc)
			}
			s.pushes(5, 10)
			other.pushes(0, 10) // which shows that it leads pbx2 still, and no more
			natstest.Within(t, "it is refused", func() bool { return s.lead.refusals() > 0 })
			natstest.Within(t, "pbx2's are stored", func() bool { return other.outbox.Account().Left == 0 })
			if got := ids(t, b, "pbx1"); len(got) != 7 {
				t.Errorf("%d are stored of pbx1, want 7: %v", len(got), got)
			}
		})
	}
}

// So it is where the repeat would have gone into the batch of another server: nats-server says that an event
// is one of the first of a batch, and of no other.
func TestLead_ARepeatAmidABatchIsNotTakenForStored(t *testing.T) {
	b, _, nc, js := sharedBench(t, "pbx1", "pbx2")
	s, other := b.servers[0], b.servers[1]
	s.lead.let(Fence{Term: term(t, js, "pbx1")})
	other.lead.let(Fence{Term: term(t, js, "pbx2")})
	s.pushes(0, 5)
	natstest.Within(t, "all are stored", func() bool { return b.left() == 0 })
	s.takenOver(t, b, nc, js, 6, 2)
	other.pushes(0, 2) // the first finds that the batch has ended
	natstest.Within(t, "pbx2's are stored", func() bool { return b.left() == 0 })
	other.pushes(2, 1000)
	s.pushes(5, 10)
	natstest.Within(t, "it is refused", func() bool {
		other.pushes(0, 1)
		return s.lead.refusals() > 0
	})
	if got := ids(t, b, "pbx1"); len(got) != 8 {
		t.Errorf("%d are stored of pbx1, want 8: %v", len(got), got)
	}
}

// The first event of who leads may be one that somebody has stored since the stream was read. That is no
// first: behind it may be others, which are not what this bridge has to say.
func TestLead_AFirstThatIsARepeatIsRefused(t *testing.T) {
	for name, busy := range map[string]bool{"alone": false, "amid a batch": true} {
		t.Run(name, func(t *testing.T) {
			b, _, _, js := sharedBench(t, "pbx1", "pbx2")
			s, other := b.servers[0], b.servers[1]
			other.lead.let(Fence{Term: term(t, js, "pbx2")})
			if busy {
				other.pushes(0, 2000)
			}
			s.stored(t, js, "e1", 1, `{"N":0}`)
			s.stored(t, js, "e1", 2, `{"of another thread":1}`)
			s.pushes(0, 10)
			s.lead.let(Fence{Term: term(t, js, "pbx1"), Whole: true})
			natstest.Within(t, "it is refused", func() bool { return s.lead.refusals() > 0 })
			if a := s.outbox.Account(); a.Published != 0 {
				t.Errorf("%d are said to be stored", a.Published)
			}
			if got := ids(t, b, "pbx1"); len(got) != 2 {
				t.Errorf("%d are stored of pbx1, want 2: %v", len(got), got)
			}
			natstest.Within(t, "pbx2's are stored", func() bool { return other.outbox.Account().Left == 0 })
		})
	}
}

// The second event of a batch is not sent before the first has arrived: in the buffers of the
// network there is never more than one of a batch that has not begun.
func TestLead_TheFirstOfABatchArrivesBeforeOthersAreSent(t *testing.T) {
	now := time.Now()
	l := &leadMode{next: Fence{Lease: testLease}}
	l.trust(0)
	d := &fastMode{lead: l, window: windowOf(func(int) {}, outbox.New(1<<20, "gap", outbox.NewBudget(1<<20, 1), func() {})), ackedAt: now, inbox: "i."}
	if !d.room() {
		t.Fatal("no batch may begin")
	}
	var m nats.Msg
	d.prepare(&m, 0, 0, false, time.Now())
	if d.ending || d.room() {
		t.Fatalf("the second may be sent; the first goes alone: %v", d.ending)
	}
	d.mu.Lock()
	changed := d.observe(&nats.Msg{Data: []byte(`{"type":"ack","seq":0,"msgs":1}`)}, "1.fail.1.0.$FI")
	d.mu.Unlock()
	if !d.room() || !changed {
		t.Error("the second waits, although the first has arrived")
	}
	d.lead = nil
	d.known = false
	if !d.room() {
		t.Error("it waits where nobody shares the servers")
	}
}

// What is to end a batch before another begins may be lost, with nothing else in flight. It is not waited
// for without end.
func TestLead_TheEndOfABatchMayBeLost(t *testing.T) {
	o := outbox.New(1<<20, "gap", outbox.NewBudget(1<<20, 1), func() {})
	now := time.Now()
	d := &fastMode{lead: new(leadMode), window: windowOf(func(int) {}, o), inbox: "i.", key: "k.", batch: "b", begun: now, known: true, flow: 1, due: 1, sent: 2, acked: 2}
	if reply := d.end(0, o); reply != "" {
		t.Errorf("it ends for nothing: %s", reply)
	}
	o.Push(outbox.Entry{Subject: "event"}, []byte("{}"), false)
	if reply := d.end(0, o); reply != "i.k.1.fail.3.3.$FI" {
		t.Errorf("it ends by %q", reply)
	}
	if err := d.pause(d.room()); err != nil || d.room() || d.end(0, o) != "" {
		t.Errorf("it has failed: %v", err)
	}
	d.last = now.Add(-time.Hour)
	if err := d.pause(d.room()); !errors.Is(err, errBatchEnded) {
		t.Errorf("it goes on: %v", err)
	}
}
