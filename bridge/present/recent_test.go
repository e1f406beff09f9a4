package present

import "testing"

// What was forgotten and added again is among the newest.
func TestRecent_AddedAgain(t *testing.T) {
	var r recent
	r.add(1)
	r.forget(1)
	if r.holds(1) {
		t.Error("it is not forgotten")
	}
	for h := range uint64(maxRecent - 1) {
		r.add(h + 10)
	}
	r.add(1)
	r.add(2)
	if !r.holds(1) {
		t.Error("the newest but one is forgotten")
	}
	for h := range uint64(maxRecent - 2) {
		r.add(h + 1_000_000)
	}
	if !r.holds(1) || !r.holds(2) {
		t.Errorf("of %d the oldest are forgotten", maxRecent)
	}
	r.add(3)
	if r.holds(1) || !r.holds(2) || len(r.at) != maxRecent {
		t.Errorf("the oldest is held: %d of %d", len(r.at), maxRecent)
	}
}
