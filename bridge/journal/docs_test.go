package journal

import (
	"fmt"
	"testing"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/pagetest"
)

func TestDocs_ARecordCosts(t *testing.T) {
	pagetest.Says(t, "audit", fmt.Sprintf("it waits %d ms for others", linger.Milliseconds()))
	if entryBytes != 512 {
		t.Errorf("docs/design.md says 512 bytes a record; it is %d", entryBytes)
	}
}
