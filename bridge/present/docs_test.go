package present

import (
	"fmt"
	"testing"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/pagetest"
)

// The pages say what the code does.
func TestDocs_BoundsOfThePresent(t *testing.T) {
	pagetest.Limits(t, map[string]int{"maxField": maxField, "maxRecent": maxRecent, "maxDue": maxDue})
	pagetest.Says(t, "design", fmt.Sprintf("%d bytes an object included", objectBytes),
		fmt.Sprintf("asked for within %s", pagetest.Seconds(tombstoneAge)))
}
