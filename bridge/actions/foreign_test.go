package actions

import (
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// A server that only other bridges have, and of which none takes the request or replies to
// it, is a reply and a record like any other: of a server that this bridge does not know.
func TestElsewhere_ServersThatNobodyHas(t *testing.T) {
	p := newPair(t, func(c *config.Config) {
		if c.Node == "b1" {
			c.Servers, c.Groups = c.Servers[:1], nil
		}
	})
	p.b1.elsewhere = []string{"pbx1", "pbx2", "pbx9"}
	want := []string{"pbx1 by b1: Success", "pbx2 by b2: Success", "pbx9: not_connected, sent: no"}
	if all, said := p.every(p.b1, requestFor("all", "Ping", "")); !slices.Equal(all, want) || said != "3" {
		t.Errorf("all: %v, %s in all", all, said)
	}
	p.mute() // who leads pbx2 and pbx3 does not reply
	p.b1.elsewhere = []string{"pbx1", "pbx2"}
	want = []string{"pbx1 by b1: Success", "pbx2: timeout, sent: unknown"}
	if all, said := p.every(p.b1, requestFor("all", "Ping", "", "Ami-Timeout", "100ms")); !slices.Equal(all, want) || said != "2" {
		t.Errorf("all: %v, %s in all", all, said)
	}
}

// Whoever has a request to any asks for a server that only another bridge has, if none of its own
// takes it.
func TestElsewhere_AnyMayBeOneThatOnlyAnotherHas(t *testing.T) {
	p := newPair(t, func(c *config.Config) {
		if c.Node == "b1" {
			c.Servers, c.Groups = c.Servers[:1], nil
		}
	})
	p.b1.elsewhere = []string{"pbx2"}
	if got := p.to(p.b1, requestFor("any", "Ping", "")).String(); got != "pbx1 by b1: Success" {
		t.Error(got)
	}
	p.leads["b1"]["pbx1"].Store(false)
	if got := p.to(p.b1, requestFor("any", "Ping", "")).String(); got != "pbx2 by b2: Success" {
		t.Error(got)
	}
}

// A group that only one bridge has is answered by that one though others lead its servers, while it
// hears that they have other groups; and who has a request for a group that it lacks says what to change.
func TestElsewhere_AGroupOfOneBridgeAlone(t *testing.T) {
	p := newPair(t, func(c *config.Config) {
		if c.Node == "b2" {
			c.Groups = nil
		}
	})
	differ := func(yes bool) {
		for _, b := range []*asking{p.b1, p.b2} {
			b.otherGroups.Store(yes)
			if err := b.Subscribe(); err != nil {
				t.Fatal(err)
			}
			if err := b.control.Get().FlushTimeout(natstest.Patience); err != nil {
				t.Fatal(err)
			}
		}
	}
	differ(true)
	for range 4 {
		if got := p.to(nil, requestFor("sales", "Originate", phone)); got.Error != nil || got.Node != "b2" {
			t.Errorf("sales: %v", got)
		}
	}
	if n := p.received("Originate"); n != [3]int{0, 2, 2} {
		t.Errorf("Asterisk got %v", n)
	}
	if got := p.to(p.b2, requestFor("all", "Ping", "", "Ami-Group", "sales")); got.Error == nil || !strings.Contains(got.Error.Message, "BRIDGE_GROUP_") {
		t.Errorf("all of sales: %v", got.body)
	}
	differ(false)
	if _, err := p.nc.Request("ami.actions.sales.Ping", nil, natstest.Patience); err != nats.ErrNoResponders {
		t.Errorf("sales, where those that lead have it too: %v", err)
	}
}
