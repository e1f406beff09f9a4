package web

import (
	"fmt"
	"testing"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/pagetest"
)

// The pages say what the code does.
func TestDocs_Bounds(t *testing.T) {
	pagetest.Limits(t, map[string]int{"maxConns": maxConns, "maxListeners": maxListeners, "waiting": waiting, "maxTaps": maxTaps, "tapLines": tapLines, "longestGrep": longestGrep})
	pagetest.Says(t, "design", "and "+pagetest.Seconds(writeTimeout)+" for a write")
	pagetest.Says(t, "design", fmt.Sprintf("%d ms apart, of which all that filters take %d ms", tapEvery.Milliseconds(), tapWork.Milliseconds()))
	pagetest.Says(t, "status", fmt.Sprintf("%d pages may be open, and %d show events", maxListeners, maxTaps), "is given up after "+pagetest.Seconds(writeTimeout), "without a word after "+pagetest.Seconds(vanished))
}
