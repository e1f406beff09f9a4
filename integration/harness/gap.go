package harness

import (
	"encoding/json"
	"testing"
)

// GapEvent is a Gap in the stream of events.
type GapEvent struct{ Event, From, To, Reason, Lost, Restarted string }

// GapOf reads a Gap event.
func GapOf(t *testing.T, data []byte) (g GapEvent) {
	t.Helper()
	if err := json.Unmarshal(data, &g); err != nil {
		t.Fatalf("%v in %s", err, data)
	}
	return g
}

// HungUp reports whether reason is that of a server which closed the session:
// the system may tell it as a reset if something had come that nobody read.
func HungUp(reason string) bool { return reason == "closed" || reason == "read" }
