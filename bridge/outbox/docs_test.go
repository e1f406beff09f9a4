package outbox

import (
	"fmt"
	"testing"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/pagetest"
)

// The pages say what the code does.
func TestDocs_BoundsOfTheOutbox(t *testing.T) {
	pagetest.Says(t, "design", fmt.Sprintf("%d bytes an event included; Gaps, of %d each", EntryBytes, EntryBytes+gapBytes))
}
