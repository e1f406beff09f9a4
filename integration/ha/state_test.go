//go:build unix

package ha

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/longtest"
)

// writes are who wrote what into the bucket of the present, as it came to NATS: by the
// inbox in which a bridge awaits what JetStream says of each.
type writes struct {
	mu  sync.Mutex
	all []write
}

type write struct{ node, key string }

func (f *fleet) writes() *writes {
	f.t.Helper()
	w := new(writes)
	const bucket = "$KV.AMI_STATE."
	if _, err := f.nc.Subscribe(bucket+">", func(m *nats.Msg) {
		node, _, _ := strings.Cut(strings.TrimPrefix(m.Reply, "_INBOX_amibridge_"), ".")
		w.mu.Lock()
		defer w.mu.Unlock()
		w.all = append(w.all, write{node, strings.TrimPrefix(m.Subject, bucket)})
	}); err != nil {
		f.t.Fatal(err)
	}
	return w
}

// since returns what was written behind the first n, and how many there are.
func (w *writes) since(n int) ([]write, int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.all[n:]), len(w.all)
}

// alone wants only node to have written behind the first n, once it has begun to, and returns
// how many there are.
func (w *writes) alone(t *testing.T, node string, n int) int {
	t.Helper()
	since, all := w.since(n)
	if i := slices.IndexFunc(since, func(one write) bool { return one.node == node }); i < 0 {
		t.Errorf("%s has written nothing", node)
	} else if others := slices.DeleteFunc(since[i:], func(one write) bool { return one.node == node }); len(others) > 0 {
		t.Errorf("%s writes, and there are also %v", node, others)
	}
	return all
}

// present is what the bucket has of an Asterisk that bridges share.
type present struct {
	*fleet
	*amisim.Floor
	board *harness.Board
	w     *writes
}

// stated begins bridges that share an Asterisk, one of which keeps its state. The key of a
// server lasts for half a minute: whoever waited until it expires would be seen to.
func stated(t *testing.T, atOnce bool) *present {
	t.Helper()
	f := newFleet(t, shape{atOnce: atOnce, more: []string{"BRIDGE_HA_SILENCE=2s", "BRIDGE_STATUS_INTERVAL=10s", "BRIDGE_STATE_INTERVAL=20ms"}}, "b1", "b2")
	return &present{fleet: f, Floor: amisim.NewFloor(f.sim), board: harness.WatchState(t, f.nc), w: f.writes()}
}

// taken waits until node leads and the bucket is right by it, and has these channels. Nobody
// else has written since it began to, and the key of the server was there all the time.
func (p *present) taken(node string, written int, channels ...string) {
	p.t.Helper()
	harness.Eventually(p.t, node+" leads", func() bool { return p.leads(node) })
	p.board.Is(server, "live", node)
	p.board.Wants(channels...)
	p.w.alone(p.t, node, written)
	if said := p.board.Said(); slices.Contains(said, "gone") {
		p.t.Errorf("the key of the server has expired: %q", said)
	}
}

// Who leads writes what is up, and asks for lists; who stands by does neither. When the
// leader ends, the other one goes on, and the bucket is what Asterisk lists, what changed in
// silence as well.
func TestState_WhoLeadsWritesIt(t *testing.T) {
	t.Parallel()
	handedOver(t)
}

// The same for one that comes back, and leads when the other is killed.
func TestState_WhoComesBackWritesIt(t *testing.T) {
	longtest.Mark(t, "a bridge joins, and takes over behind a silence of two seconds, when two have done so")
	t.Parallel()
	p, leader, other := handedOver(t)
	p.start(other.name) // it stands by
	harness.Eventually(t, "it is there again", func() bool { _, _, ok := p.both(); return ok })
	_, n := p.w.since(0)
	leader.away = true
	p.End("1.2", amisim.Silent)
	p.Begin("1.4", amisim.Silent)
	leader.Kill()
	p.End("1.3", amisim.Raised)
	p.taken(other.name, n, "1.4")
}

// handedOver wants all to be right while one leads and another one stands by, and when the
// first has ended.
func handedOver(t *testing.T) (p *present, leader, ended *node) {
	t.Helper()
	p = stated(t, true)
	p.Begin("1.1", amisim.Raised)
	p.Begin("1.2", amisim.Raised)
	p.board.Wants("1.1", "1.2")
	ended, leader = p.settled()
	p.board.Is(server, "live", ended.name)
	asked := p.sim.Received("CoreShowChannels")
	p.Begin("1.3", amisim.Raised)
	p.board.Wants("1.1", "1.2", "1.3")
	n := p.w.alone(t, ended.name, 0)
	if now := p.sim.Received("CoreShowChannels"); now != asked {
		t.Errorf("%d lists were asked for at rest", now-asked)
	}

	p.End("1.1", amisim.Silent)
	ended.away = true
	if err := ended.Stop(); err != nil {
		t.Errorf("%s ended with: %v", ended.name, err)
	}
	p.taken(leader.name, n, "1.2", "1.3")
	return p, leader, ended
}

// both reports whether one of the bridges leads and another stands by, in sync or not.
func (f *fleet) both() (leader, standby *node, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for name, b := range f.bridges {
		switch w := f.heard[name]; {
		case time.Since(w.at) > time.Second:
			return nil, nil, false
		case w.leads:
			leader = b
		case w.state != "":
			standby = b
		}
	}
	return leader, standby, leader != nil && standby != nil
}

// What a leader wrote that was cut off from NATS comes late: when another one writes. It is
// brought right: nothing is up that has ended, and nothing is missing that is up. And when the
// first one leads again it knows what nobody told it.
func TestState_WhatComesLateIsBroughtRight(t *testing.T) {
	longtest.Mark(t, "the bucket is looked at again after five seconds, and two bridges take over")
	t.Parallel()
	p := stated(t, false)
	p.board.Is(server, "live", "b1")
	b1, b2 := p.bridges["b1"], p.bridges["b2"]
	p.Begin("1.1", amisim.Raised)
	p.Begin("1.2", amisim.Raised)
	p.board.Wants("1.1", "1.2")
	_, n := p.w.since(0)

	release := b1.toNATS.silence(everyLeg, true) // what it says fills the buffers between
	p.End("1.1", amisim.Raised)
	p.Begin("1.3", amisim.Raised)
	p.taken("b2", n, "1.2", "1.3")
	p.Begin("1.1", amisim.Raised) // is up again
	p.End("1.3", amisim.Raised)
	p.taken("b2", n, "1.1", "1.2")
	_, n = p.w.since(0)
	release()
	harness.Eventually(t, "what b1 wrote comes", func() bool {
		since, _ := p.w.since(n)
		return slices.Contains(since, write{"b1", server + ".channel.1=2E1"}) && slices.Contains(since, write{"b1", server + ".channel.1=2E3"})
	})
	p.board.Wants("1.1", "1.2")
	p.board.Is(server, "live", "b2")

	harness.Eventually(t, "b1 stands by", func() bool { _, standby, ok := p.both(); return ok && standby == b1 })
	p.End("1.2", amisim.Silent)
	p.Begin("1.4", amisim.Silent)
	_, n = p.w.since(0)
	b2.away = true
	b2.Kill()
	p.taken("b1", n, "1.1", "1.4")
}
