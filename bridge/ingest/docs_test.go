package ingest

import (
	"fmt"
	"testing"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/pagetest"
)

// The pages say what the code does.
func TestDocs_BoundsOfEvents(t *testing.T) {
	pagetest.Says(t, "design", fmt.Sprintf("`maxPayload`, 1 MiB - %d KiB", (1<<20-maxPayload)>>10),
		"or for "+map[time.Duration]string{6: "six"}[GapIntervals]+" `STATUS_INTERVAL`",
		"for "+pagetest.Seconds(maxGapHeld)+" at most, if what comes next")
}
