package load

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
)

// gapEventAsStatus is what the status of a Gap event has to say.
func gapEventAsStatus(t *testing.T, data []byte) harness.GapEvent {
	t.Helper()
	g := harness.GapOf(t, data)
	g.Event = ""
	if g.Restarted == "" {
		g.Restarted = "unknown" // a status always has it
	}
	return g
}

// gapStatus reads the status of a Gap, in the words of the event.
func gapStatus(t *testing.T, data []byte) harness.GapEvent {
	t.Helper()
	var s struct {
		From, To, Reason string
		Lost             *uint64
		Restarted        *bool
	}
	if err := json.Unmarshal(data, &s); err != nil {
		t.Fatalf("%v in %s", err, data)
	}
	g := harness.GapEvent{From: s.From, To: s.To, Reason: s.Reason, Lost: "unknown", Restarted: "unknown"}
	if s.Lost != nil {
		g.Lost = fmt.Sprint(*s.Lost)
	}
	if s.Restarted != nil {
		g.Restarted = map[bool]string{true: "yes", false: "no"}[*s.Restarted]
	}
	return g
}
