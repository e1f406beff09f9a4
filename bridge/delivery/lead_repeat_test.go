package delivery

import (
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
// store the event that is its next, and after that another than its next but one.
func (s *benchServer) takenOver(t *testing.T, b *bench, nc *nats.Conn, js jetstream.JetStream, n uint64) {
	t.Helper()
	term(t, js, s.name)
	endBatches(t, nc)
	epoch := ids(t, b, s.name)[0].Epoch
	for i, text := range []string{fmt.Sprintf(`{"N":%d}`, n-1), `{"of another thread":1}`} {
		m := nats.NewMsg("ami.events." + s.name + ".Test")
		m.Data = []byte(text)
		m.Header.Set("Nats-Msg-Id", string(standby.ID{Server: s.name, Epoch: epoch, N: n + uint64(i), Hash: standby.Hash(m.Data)}.AppendTo(nil)))
		if _, err := js.PublishMsg(t.Context(), m); err != nil {
			t.Fatal(err)
		}
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
			s.takenOver(t, b, nc, js, 6)
			if pause {
				natstest.Within(t, "it was frozen for a while", func() bool {
					p.fast.mu.Lock()
					defer p.fast.mu.Unlock()
					return !standby.MayGoOn(p.fast.ackedAt, time.Now())
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

// The second event of a batch is not sent before the first has arrived: in the buffers of the
// network there is never more than one of a batch that has not begun.
func TestLead_TheFirstOfABatchArrivesBeforeOthersAreSent(t *testing.T) {
	now := time.Now()
	l := new(leadMode)
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
