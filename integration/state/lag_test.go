package state

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
)

// Whatever happens while lists are made and come late, told or not, masquerades and
// transfers as well: the next list that comes at once has the bucket be what is up, each
// channel in its last version.
func TestState_WhateverLags(t *testing.T) {
	t.Parallel()
	p := startPBX(t)
	r := stated(t, "b1", harness.NATS(t), p, nil)
	b := harness.WatchState(t, r.Client)
	b.Is("pbx1", "live", "b1")
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	draw := rand.New(rand.NewPCG(seed, 1))
	for n := range 12 {
		lag := p.Lag()
		reply := r.Ask("pbx1", "Reload", "")
		happen(p, draw, n, amisim.Silent)
		<-lag.Made
		happen(p, draw, 100+n, amisim.Raised)
		last := fmt.Sprintf("last-%d", n)
		p.Begin(last, amisim.Raised)
		harness.Eventually(t, "all was told", func() bool { return b.Up()["pbx1.channel."+last] != nil })
		close(lag.Send)
		r.Answer(reply)
	}
	if reply := r.Call("pbx1", "Reload", ""); reply.Error != nil && reply.Error.Sent != "yes" {
		t.Fatal(reply.Error)
	}
	want := map[string]string{}
	for _, c := range p.Up() {
		want[c.ID] = fmt.Sprint(c.Version, " ", c.Name, " ", c.Exten, " ", c.Bridge)
	}
	var got map[string]string
	now := func() bool {
		got = map[string]string{}
		for _, v := range b.Up() {
			if id, is := v["Uniqueid"].(string); is {
				got[id] = fmt.Sprint(v["AccountCode"], " ", v["Channel"], " ", v["Exten"], " ", v["BridgeId"])
			}
		}
		return maps.Equal(got, want)
	}
	harness.Eventually(t, "the bucket is what is up", func() bool { return now() || t.Failed() })
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// happen has things happen at p, of which events tell or not.
func happen(p *pbx, draw *rand.Rand, round int, raised amisim.Raising) {
	p.Begin(fmt.Sprintf("%d.0", round), raised)
	for i := range 20 {
		up := p.Up()
		one, other := up[draw.IntN(len(up))].ID, up[draw.IntN(len(up))].ID
		switch draw.IntN(7) {
		case 0, 1:
			p.Begin(fmt.Sprintf("%d.%d", round, i+1), raised)
		case 2:
			p.Change(one, raised)
		case 3:
			p.Enter(one, "b"+strconv.Itoa(i), raised)
		case 4:
			p.Transfer(one, strconv.Itoa(200+i), raised)
		case 5:
			p.Masquerade(one, other, raised)
		case 6:
			if len(up) > 1 {
				p.End(one, raised)
			}
		}
	}
}
