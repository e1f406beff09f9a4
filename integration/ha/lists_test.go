//go:build unix

package ha

import (
	"encoding/json"
	"errors"
	"slices"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
)

// Where the lists of two bridges differ, each server has one that leads it and takes its Actions,
// by its name, by any and by all, whichever bridge has the request.
func TestLists_AServerOfOneBridgeAlone(t *testing.T) {
	t.Parallel()
	f := newFleet(t, shape{})
	_, addr := harness.Sim(t, amisim.Config{})
	f.shares("b1", f.nats[0].URL, f.addr, nil)
	f.ear.leads("b1", 0)
	f.shares("b2", f.nats[0].URL, f.addr, func(c *config.Config) {
		c.Servers = append(c.Servers, harness.ChaosServer("pbx9", addr))
		c.Groups = []config.Group{{Name: "own", Servers: []string{"pbx9"}}}
	})
	for to, want := range map[string][]string{"pbx1": {"pbx1 by b1"}, "pbx9": {"pbx9 by b2"}, "own": {"pbx9 by b2"}, "all": {"pbx1 by b1", "pbx9 by b2"}} {
		harness.Eventually(t, to+" is answered", func() bool { return slices.Equal(f.answers(to), want) })
	}
	for range 20 {
		if got := f.answers("any"); len(got) != 1 {
			t.Errorf("any: %v", got)
		}
	}
}

// A group that one bridge has, of servers that another one leads, is answered by way of the one that has it.
func TestLists_AGroupOfOneBridgeAlone(t *testing.T) {
	t.Parallel()
	f := newFleet(t, shape{})
	f.shares("b1", f.nats[0].URL, f.addr, nil)
	f.ear.leads("b1", 0)
	f.shares("b2", f.nats[0].URL, f.addr, func(c *config.Config) {
		c.Groups = []config.Group{{Name: "own", Servers: []string{server}}}
	})
	harness.Eventually(t, "own is answered", func() bool { return slices.Equal(f.answers("own"), []string{"pbx1 by b1"}) })
}

// answers are who answers an Action, sorted; none without responders.
func (f *fleet) answers(to string) (all []string) {
	f.t.Helper()
	sub, err := f.nc.SubscribeSync(f.nc.NewInbox())
	if err != nil {
		f.t.Fatal(err)
	}
	defer sub.Unsubscribe()
	if err := f.nc.PublishRequest("ami.actions."+to+".Ping", sub.Subject, nil); err != nil {
		f.t.Fatal(err)
	}
	for {
		m, err := sub.NextMsg(harness.Patience)
		if errors.Is(err, nats.ErrNoResponders) {
			return nil
		}
		if err != nil {
			f.t.Fatalf("%s: %v behind %v", to, err, all)
		}
		var reply struct{ Server, Node, Response string }
		if len(m.Data) > 0 {
			if err := json.Unmarshal(m.Data, &reply); err != nil {
				f.t.Fatal(err)
			}
			if reply.Response == "Success" {
				all = append(all, reply.Server+" by "+reply.Node)
			}
		}
		if to != "all" || len(m.Data) == 0 {
			slices.Sort(all)
			return all
		}
	}
}
