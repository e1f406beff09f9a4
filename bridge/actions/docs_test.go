package actions

import (
	"fmt"
	"testing"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/pagetest"
)

// The pages say what the code does.
func TestDocs_LimitsOfRequests(t *testing.T) {
	pagetest.Limits(t, map[string]int{
		"maxBody": maxBody, "maxMembers": maxMembers, "maxOwn": maxOwn, "maxOptions": maxOptions,
		"requestBytes": requestBytes, "queuedRequests": queuedRequests, "queuedBytes": queuedBytes,
	})
	pagetest.Says(t, "actions", fmt.Sprintf("1 to %d bytes; see", maxKey))
	if requestOverhead != 1<<10 {
		t.Errorf("docs/design.md says 1 KiB a request; it is %d", requestOverhead)
	}
}
