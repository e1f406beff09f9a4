package bridge

import (
	"testing"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/pagetest"
)

// The pages say what the code does.
func TestDocs_TimesOfConnections(t *testing.T) {
	pagetest.Says(t, "design", "every "+pagetest.Seconds(renewEvery)+" and after a denial", "a lost connection or "+pagetest.Seconds(ackTimeout)+" without one")
	pagetest.Says(t, "delivery", "what comes "+pagetest.Seconds(renewEvery)+" later is stored",
		"a lost connection or "+pagetest.Seconds(ackTimeout)+" without an acknowledgement")
	pagetest.Says(t, "operating", "`events wait in the outbox` after "+pagetest.Seconds(ackTimeout),
		"made anew every "+pagetest.Seconds(renewEvery)+", after a denial within a second")
}
