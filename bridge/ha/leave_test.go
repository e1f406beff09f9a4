package ha

import (
	"context"
	"testing"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/standby"
)

// One that ends offers what it leads for as long as Leave lasts. If nobody takes it, what it holds is
// published: to offer it again and again would leave no time for that.
func TestLeave_WhatNobodyTakesIsPublished(t *testing.T) {
	n, h, store := claiming(t)
	if !n.endsClaim(t, h.s, store("ami.terms.pbx1", "claim", nil)) {
		t.Fatal("it does not lead")
	}
	now := time.Now()
	n.roster.Serve([]string{"pbx1"})
	if err := n.roster.Observe(&standby.Heartbeat{
		Node: "b2", Incarnation: "i2", Seq: 1, Weight: 1, List: standby.ListHash([]string{"pbx1"}), Servers: []string{"pbx1"},
		Stands: []standby.Stands{{Server: "pbx1", State: standby.InSync.String(), Term: h.s.machine.Term()}},
	}, now); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	n.Leave(ctx)
	for range 3 {
		n.yield(now)
		if !h.s.machine.Publishes() {
			t.Fatal("it offers what nobody has taken")
		}
	}
}
