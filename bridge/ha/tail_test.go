package ha

import (
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
			store := func(subject, id string) uint64 {
				m := nats.NewMsg(subject)
				m.Header.Set("Nats-Msg-Id", id)
				ack, err := js.PublishMsg(t.Context(), m)
				if err != nil {
					t.Fatal(err)
				}
				return ack.Sequence
			}
			claim := store("ami.terms.pbx1", "claim")
			store("ami.terms.pbx1", "another's claim")
			if test.id != "" {
				store("ami.events.pbx1.Test", test.id)
			}
			if test.inSync {
				claim = 99
			}

			box := outbox.New(1<<20, "gap", outbox.NewBudget(1<<20, 1), func() {})
			h := n.Add(Server{
				Name: "pbx1", Outbox: box, Events: "ami.events.pbx1.>", Terms: "ami.terms.pbx1", Most: 1000, Led: func(bool) {}, Changed: func(bool) {},
			})
			h.Begin(func() {}, func() {})
			if test.inSync {
				tail, _ := box.Tail("pbx1", time.Now())
				box.Begin(tail, nil)
				box.Push(outbox.Entry{At: time.Now().UnixNano()}, []byte("{}"), false)
				box.Take(nil)
				box.Ack()
				box.Stand(1, time.Now())
			}
			h.Session(true)
			h.Pong(time.Now())
			h.s.machine = standby.NewLeading("pbx1", "b1", "i1", time.Second, time.Now())
			reads := h.s.claims(t, claim)
			n.readTail(h.s, time.Now())
			answer := (<-n.asks)(t.Context())
			if !reads || answer == nil {
				t.Fatal("it does not read the stream")
			}
			answer()
			if leads := h.s.machine.Leads(); leads != test.leads {
				t.Errorf("leads: %v", leads)
			}
		})
	}
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
