package view

import (
	"testing"
	"time"
)

// Why there is no floor is said in the words of the bridge that is asked; where none is, in those of
// one that has a reason.
func TestNoFloor(t *testing.T) {
	t.Parallel()
	w := watch(t)
	w.node("b1", []string{"pbx1"}, fields{"state": fields{"state": "on"}})
	w.node("b2", []string{"pbx2"}, fields{"state": fields{"state": "off", "reason": "BRIDGE_STATE=off"}})
	snap := w.Snapshot(w.now, NumbersNone)
	equal(t, "b1", snap.NoFloor("b1"), "The state is kept of no server: BRIDGE_AMI_STATE says of which, and what.")
	for _, node := range []string{"b2", "", "nobody"} {
		equal(t, node, snap.NoFloor(node), "The state is off: BRIDGE_STATE=off.")
	}
	w.put("pbx1.server", fields{"state": "live", "since": text(w.now)})
	snap = w.Snapshot(w.now, NumbersNone)
	equal(t, "with a floor", snap.NoFloor("b2"), "")
	equal(t, "of a server that has one", snap.NoPresent(&Server{Name: "pbx1", Present: &Present{}}), "")
}

// A server's floor is frozen for the reason for which its session is away.
func TestWhyFrozen(t *testing.T) {
	t.Parallel()
	w := everything(t)
	snap := w.Snapshot(at(21*time.Second), NumbersNone)
	equal(t, "its outbox is over 80 %, and stale", snap.WhyFrozen(Frozen{Server: "pbx2"}), "")
	w = watch(t)
	w.node("b1", []string{"pbx1"})
	w.connect("pbx1")
	w.lose("pbx1", "dial", "dial tcp 10.0.0.1:5038: connect: connection refused")
	equal(t, "down", w.Snapshot(w.now, NumbersNone).WhyFrozen(Frozen{Server: "pbx1"}), "Nothing listens at 10.0.0.1:5038: connection refused.")
	equal(t, "unknown", snap.WhyFrozen(Frozen{Server: "nobody"}), "")
}
