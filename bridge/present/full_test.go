package present

import "testing"

// What did not fit of a kind is found by a list of all of it, not of one queue. Of who takes part there is
// none: that is the list of the conferences, be there none any more.
func TestBounds_FullUntilAllWasListed(t *testing.T) {
	w := newWorld(t, Options{MaxObjects: 4, MaxBytes: 1 << 20}).skipFirst()
	full := func(kind string, want bool) {
		t.Helper()
		var notKept map[string]string
		if decodeServer(t, w, &notKept); (notKept[kind] == "full") != want {
			t.Errorf("%s is not kept: %q", kind, notKept[kind])
		}
	}
	w.event("Event: ConfbridgeStart", "Conference: a")
	w.event(join("q", "1.1", 1, 1)...)
	w.event(join("q", "1.2", 2, 2)...)
	w.event(join("q", "1.3", 3, 3)...)
	w.event(join("p", "1.4", 1, 1)...)
	w.event("Event: ConfbridgeJoin", "Conference: a", block("1.5", "6"), "Admin: No\nMuted: No")
	full("caller", true)
	full("participant", true)
	w.event("Event: ConfbridgeEnd", "Conference: a")
	w.event("Event: Hangup", block("1.1", "6"))
	w.drain()

	w.p.Apply(w.listing(Ask{Queues, "q"}), w.now)
	full("caller", true)
	w.list(Queues)
	full("caller", false)
	w.list(Conferences)
	full("participant", false)
}
