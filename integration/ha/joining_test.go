//go:build unix

package ha

import (
	"testing"

	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/longtest"
)

// A standby joins at a server that says nothing, and at one that says the same over and over:
// whichever is killed, each event is stored once, and no Gap.
func TestProcesses_JoinWhereEventsAreAllAlike(t *testing.T) {
	longtest.Mark(t, "a standby joins three times by what it has read when")
	t.Parallel()
	f := newFleet(t, shape{more: []string{"BRIDGE_HA_SILENCE=2s"}}, "b1", "b2")
	for range 3 {
		var leader, standby *node
		harness.Eventually(t, "one leads, the other is in sync, and nothing is said", func() (ok bool) {
			leader, standby, ok = f.stand()
			return ok
		})
		f.repeat(30)
		leader.away = true
		leader.Kill()
		f.repeat(30)
		harness.Eventually(t, "the other one leads", func() bool { return f.leads(standby.name) })
		f.repeat(30)
		f.start(leader.name)
	}
	if got := f.verify(); !got.whole() || got.events != 270 {
		t.Error(got)
	}
}

// repeat has the Asterisk raise n events that are all alike.
func (f *fleet) repeat(n int) {
	for range n {
		f.alike++
		f.sim.Emit("Event", "UserEvent", "UserEvent", "alike")
	}
}
