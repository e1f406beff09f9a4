package natsconn

import (
	"testing"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/pagetest"
)

// The pages say what the code does.
func TestDocs_TimesOfConnections(t *testing.T) {
	pagetest.Says(t, "design", "every "+pagetest.Seconds(RenewEvery)+" and after a denial", "a lost connection or "+pagetest.Seconds(AckTimeout)+" without one")
	pagetest.Says(t, "delivery", "what comes "+pagetest.Seconds(RenewEvery)+" later is stored",
		"a lost connection or "+pagetest.Seconds(AckTimeout)+" without an acknowledgement")
	pagetest.Says(t, "outages", "`events wait in the outbox` after "+pagetest.Seconds(AckTimeout),
		"made anew every "+pagetest.Seconds(RenewEvery)+", after a denial within a second")
}
