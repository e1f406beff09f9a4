package view

import "testing"

// A page that shows who stands by says why one is joining still, as the bridge says it.
func TestHA_SaysWhyAStandbyIsJoining(t *testing.T) {
	ha := HA{Leader: "b1", Standbys: []Standby{{Node: "b2", State: "joining", Reason: "alike"}, {Node: "b3", State: "joining"}}}
	if got, want := ha.Text(), "b1 leads, b2 joining: alike, b3 joining"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
