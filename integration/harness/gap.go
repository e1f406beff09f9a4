package harness

import (
	"encoding/json"
	"fmt"
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

// GapEventAsStatus is what the status of a Gap event has to say.
func GapEventAsStatus(t *testing.T, data []byte) GapEvent {
	t.Helper()
	g := GapOf(t, data)
	g.Event = ""
	if g.Restarted == "" {
		g.Restarted = "unknown" // a status always has it
	}
	return g
}

// GapStatus reads the status of a Gap, in the words of the event.
func GapStatus(t *testing.T, data []byte) GapEvent {
	t.Helper()
	var s struct {
		From, To, Reason string
		Lost             *uint64
		Restarted        *bool
	}
	if err := json.Unmarshal(data, &s); err != nil {
		t.Fatalf("%v in %s", err, data)
	}
	g := GapEvent{From: s.From, To: s.To, Reason: s.Reason, Lost: "unknown", Restarted: "unknown"}
	if s.Lost != nil {
		g.Lost = fmt.Sprint(*s.Lost)
	}
	if s.Restarted != nil {
		g.Restarted = map[bool]string{true: "yes", false: "no"}[*s.Restarted]
	}
	return g
}

// HungUp reports whether reason is that of a server which closed the session:
// the system may tell it as a reset if something had come that nobody read.
func HungUp(reason string) bool { return reason == "closed" || reason == "read" }
