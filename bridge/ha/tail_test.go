package ha

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/natsconn/conntest"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/outbox"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/standby"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// What is stored behind this bridge's claim is another's that has claimed since, unless its id
// is of a bridge that keeps behind no fence. And what ends before what the stream had acknowledged to
// one that is in sync may be a replica's that is behind.
func TestTail_OfOneThatHasClaimedSince(t *testing.T) {
	for name, test := range map[string]struct {
		id     string
		inSync bool // up to event 1 of epoch e2
		leads  bool
	}{
		"none, and in sync": {inSync: true, leads: true},
		"before the cut":    {id: string(standby.ID{Server: "pbx1", Epoch: "e2", Hash: 7}.AppendTo(nil)), inSync: true},
		"another's":         {id: string(standby.ID{Server: "pbx1", Epoch: "e1", N: 1, Hash: 7}.AppendTo(nil))},
		"foreign":           {id: "s1-7", leads: true},
	} {
		t.Run(name, func(t *testing.T) {
			n, h, store := claiming(t)
			claim := store("ami.terms.pbx1", "claim", nil)
			store("ami.terms.pbx1", "another's claim", nil)
			if test.id != "" {
				store("ami.events.pbx1.Test", test.id, nil)
			}
			if test.inSync {
				claim = 99
				tail, _ := h.s.Outbox.Tail("pbx1", time.Now())
				h.s.Outbox.Begin(tail, nil)
				h.s.Outbox.Push(outbox.Entry{At: time.Now().UnixNano()}, []byte("{}"), false)
				h.s.Outbox.Take(nil)
				h.s.Outbox.Ack()
				h.s.Outbox.Stand(1, time.Now())
			}
			if leads := n.endsClaim(t, h.s, claim); leads != test.leads {
				t.Errorf("leads: %v", leads)
			}
		})
	}
}

// Who leads and hears nothing of another's claim stands by for it soon, and says who leads.
func TestLook_AnotherHasClaimedUnheard(t *testing.T) {
	n, h, store := claiming(t)
	claim := store("ami.terms.pbx1", "claim", nil)
	if !n.endsClaim(t, h.s, claim) {
		t.Fatal("it does not lead")
	}
	n.lookAtRecords(time.Now())
	theirs := standby.Term{Server: "pbx1", Term: 2, Node: "b2", Incarnation: "i2", Reason: "silence"}
	data, err := theirs.Encode()
	if err != nil {
		t.Fatal(err)
	}
	store("ami.terms.pbx1", "another's claim", data)
	n.lookAtRecords(time.Now().Add(lookEvery))
	n.lookAtRecords(time.Now().Add(2 * lookEvery)) // it asks once
	for len(n.asks) > 0 {
		if answer := (<-n.asks)(t.Context()); answer != nil {
			answer()
		}
	}
	node, _ := h.s.machine.Unheard(time.Now())
	if node != "b2" || h.s.leading.Load() || !h.s.machine.Stands() {
		t.Errorf("it leads: %v, and %q is not heard", h.s.leading.Load(), node)
	}
}

// A bridge that starts and hears nobody leaves the lead to whoever stores events, and claims beside
// one that shares nothing.
func TestAskTerm_WhoLeadsUnheardStoresEvents(t *testing.T) {
	for stored, leads := range map[string]string{string(standby.ID{Server: "pbx1", Epoch: "e1", N: 2, Hash: 7}.AppendTo(nil)): "b2", "s1-7": ""} {
		n, h, store := claiming(t)
		theirs := standby.Term{Server: "pbx1", Term: 2, Node: "b2", Incarnation: "i2", Reason: "silence"}
		data, err := theirs.Encode()
		if err != nil {
			t.Fatal(err)
		}
		store("ami.terms.pbx1", "their claim", data)
		store("ami.events.pbx1.Test", string(standby.ID{Server: "pbx1", Epoch: "e1", N: 1, Hash: 7}.AppendTo(nil)), nil)
		now := time.Now()
		h.s.machine = standby.NewLeading("pbx1", "b1", "i1", time.Second, now.Add(-time.Minute))
		for i := range time.Duration(2) {
			n.stepAt(h.s, now.Add(i*time.Second), standby.Event{Kind: standby.Tick})
			(<-n.asks)(t.Context())()
			if i == 0 {
				store("ami.events.pbx1.Test", stored, nil)
			}
		}
		if node, _ := h.s.machine.Unheard(now); h.s.machine.Stands() != (leads != "") || leads != "" && node != leads {
			t.Errorf("%s is stored: it stands by: %v, %q leads unheard", stored, h.s.machine.Stands(), node)
		}
	}
}

// A tail is read to its end though no question lasts as long: what was read is not read again.
func TestTail_LongerThanAQuestionLasts(t *testing.T) {
	const all = 20_000
	n, h, store := claiming(t)
	js := n.o.Conn.Get().JS
	for i := range all - 1 {
		m := nats.NewMsg("ami.events.pbx1.Test")
		m.Header.Set(jetstream.MsgIDHeader, string(standby.ID{Server: "pbx1", Epoch: "e1", N: uint64(i + 1), Hash: uint64(i)}.AppendTo(nil)))
		if _, err := js.PublishMsgAsync(m); err != nil {
			t.Fatal(err)
		}
	}
	<-js.PublishAsyncComplete()
	last := store("ami.events.pbx1.Test", string(standby.ID{Server: "pbx1", Epoch: "e1", N: all, Hash: all}.AppendTo(nil)), nil)
	if !h.s.claims(t, last+1) {
		t.Fatal("it does not read the stream")
	}
	pages := make(chan *nats.Msg, all)
	if _, err := n.o.Conn.Get().ChanSubscribe("$JS.API.DIRECT.GET.AMI_EVENTS", pages); err != nil {
		t.Fatal(err)
	}
	for asked := 1; !h.s.machine.Leads(); asked++ {
		if asked > all/100 {
			t.Fatalf("it is not read by %d questions", asked)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { // its time is over when it asks for the second page
			defer cancel()
			for range 2 {
				select {
				case <-pages:
				case <-ended:
					return
				}
			}
		}()
		n.readTail(h.s, time.Now())
		answer := (<-n.asks)(ctx)
		close(ended)
		<-ctx.Done()
		answer()
		for len(pages) > 0 {
			<-pages
		}
	}
	if h.s.held.Last != last {
		t.Errorf("it was read up to %d, want %d", h.s.held.Last, last)
	}
}

// claiming returns a Node, a server of its that reads, and what stores messages.
func claiming(t *testing.T) (n *Node, h *Handle, store func(subject, id string, data []byte) uint64) {
	t.Helper()
	cfg := config.DefaultConfig()
	cfg.Node = "b1"
	c := conntest.Open(t, natstest.Start(t, t.TempDir(), 0).ClientURL())
	n, err := New(Options{
		Config: &cfg, Conn: c, Events: c, Incarnation: "i1", Unshared: func() error { return nil },
		Epoch: func() string { return "e2" }, Place: func(_, _ []string) {}, Log: zap.NewNop(),
	})
	if err != nil {
		t.Fatal(err)
	}
	js := c.Get().JS
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{
		Name: "AMI_EVENTS", Subjects: []string{"ami.events.>", "ami.terms.>"}, AllowDirect: true,
	}); err != nil {
		t.Fatal(err)
	}
	box := outbox.New(1<<20, "gap", outbox.NewBudget(1<<20, 1), func() {})
	h = n.Add(Server{
		Name: "pbx1", Outbox: box, Events: "ami.events.pbx1.>", Terms: "ami.terms.pbx1", Most: 1000, Led: func(bool) {}, Changed: func(bool) {},
	})
	h.Begin(func() {}, func() {})
	h.Session(true)
	h.Pong(time.Now())
	h.s.machine = standby.NewLeading("pbx1", "b1", "i1", time.Second, time.Now())
	return n, h, func(subject, id string, data []byte) uint64 {
		m := nats.NewMsg(subject)
		m.Data = data
		m.Header.Set("Nats-Msg-Id", id)
		ack, err := js.PublishMsg(t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		return ack.Sequence
	}
}

// endsClaim has the claim of s end behind its record with that sequence, and reports whether it leads.
func (n *Node) endsClaim(t *testing.T, s *server, seq uint64) (leads bool) {
	t.Helper()
	reads := s.claims(t, seq)
	n.readTail(s, time.Now())
	answer := (<-n.asks)(t.Context())
	if !reads || answer == nil {
		t.Fatal("it does not read the stream")
	}
	answer()
	return s.machine.Leads()
}

// claims has the machine claim, as far as it reads the stream, behind its record with that sequence.
func (s *server) claims(t *testing.T, seq uint64) (reads bool) {
	t.Helper()
	v, now := standby.View{Session: true, Fresh: true}, time.Now()
	step := func(e standby.Event) []standby.Decision {
		e.Answers = s.machine.Question()
		return slices.Clone(s.machine.Step(now, v, e))
	}
	for range 100 {
		now = now.Add(time.Second)
		if slices.Contains(step(standby.Event{Kind: standby.Tick}), standby.AskTerm) {
			break
		}
	}
	step(standby.Event{Kind: standby.SawTerm})
	step(standby.Event{Kind: standby.Wrote, Seq: seq})
	return slices.Contains(step(standby.Event{Kind: standby.Wrote, Seq: seq}), standby.ReadTail)
}
