package ha

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/natsconn/conntest"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/outbox"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/standby"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// Nobody is silent whom this bridge could not hear yet: neither the leader of a server that comes
// while it runs, nor those that NATS has not let speak while it waited for NATS itself. It would
// claim what they lead as soon as its session is up, and leave a Gap.
func TestNode_HearsOthersFirst(t *testing.T) {
	cfg := config.DefaultConfig()
	cfg.Node, cfg.HASilence = "b1", time.Hour
	c := conntest.Open(t, natstest.Start(t, t.TempDir(), 0).ClientURL())
	n, err := New(Options{
		Config: &cfg, Conn: c, Events: c, Incarnation: "i1", Unshared: func() error { return nil }, Place: func(_, _ []string) {}, Log: zap.NewNop(),
	})
	if err != nil {
		t.Fatal(err)
	}
	n.began = time.Now().Add(-24 * time.Hour)
	box := outbox.New(1<<20, "gap", outbox.NewBudget(1<<20, 1), func() {})
	h := n.Add(Server{Name: "pbx1", Outbox: box, Most: 1000, Led: func(bool) {}, Changed: func(bool) {}})
	h.Begin(func() {}, func() {})
	if !h.s.machine.Waits(time.Now()) {
		t.Error("a server that comes later is claimed as soon as its session is up")
	}
	h.s.machine = standby.NewLeading("pbx1", "b1", "i1", cfg.HASilence, n.began)
	ctx, stop := context.WithTimeout(t.Context(), 4*tick)
	defer stop()
	n.Run(ctx)
	if !h.s.machine.Waits(time.Now()) || !n.lease.doubts(time.Now()) {
		t.Error("what there was before it waited for NATS is claimed at once")
	}
}

// Another bridge of this one's name is heard before this one's first word, though this one was held
// up for as long as it listens: to others both would be one.
func TestNode_ListensBeforeItsFirstWord(t *testing.T) {
	cfg := config.DefaultConfig()
	cfg.Node, cfg.HASilence = "b1", time.Hour
	url := natstest.Start(t, t.TempDir(), 0).ClientURL()
	c := conntest.Open(t, url)
	nc, _ := natstest.Client(t, url)
	twin, err := (&standby.Heartbeat{Node: "b1", Incarnation: "i0", Seq: 100, Weight: 1}).Encode()
	if err != nil {
		t.Fatal(err)
	}
	var n *Node
	heldUp := sync.OnceFunc(func() { // in its first tick
		if err := nc.Publish("ami.ha.b1", twin); err != nil {
			t.Error(err)
		}
		natstest.Within(t, "the other speaks", func() bool { return len(n.received) > 0 })
		<-time.After(time.Until(n.began.Add(2 * listenFirst)))
	})
	n, err = New(Options{
		Config: &cfg, Conn: c, Events: c, Incarnation: "i1", Unshared: func() error { heldUp(); return nil }, Place: func(_, _ []string) {}, Log: zap.NewNop(),
	})
	if err != nil {
		t.Fatal(err)
	}
	words, err := nc.SubscribeSync("ami.ha.b1")
	if err := errors.Join(err, nc.Flush(), c.Get().Flush()); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(t.Context(), 4*listenFirst)
	defer stop()
	n.Run(ctx)
	if !n.twin.elder {
		t.Error("it has not heard the other")
	}
	if err := errors.Join(c.Get().Flush(), nc.Flush()); err != nil {
		t.Fatal(err)
	}
	if said, _, _ := words.Pending(); said != 1 {
		t.Errorf("%d words of b1, want the other's alone", said)
	}
}
