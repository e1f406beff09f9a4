package audit

import (
	"fmt"
	"testing"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/pagetest"
)

// The pages say what the code does.
func TestDocs_LimitsOfTheAudit(t *testing.T) {
	pagetest.Limits(t, map[string]int{
		"maxRequestInfo": maxRequestInfo, "QueueBytes": QueueBytes, "refusalRate": refusalRate,
		"maxFields": maxFields, "maxRead": maxRead,
	})
	pagetest.Says(t, "actions", fmt.Sprintf("`ActionID`, at most %d bytes", MaxRequestID), fmt.Sprintf("at most %d bytes; a claim", MaxRequester),
		fmt.Sprintf("within %.0f s or `Ami-Timeout`", intentTimeout.Seconds()))
	pagetest.Says(t, "audit", fmt.Sprintf("within %.0f s (or `Ami-Timeout`", intentTimeout.Seconds()), fmt.Sprintf("in up to %d MiB", QueueBytes>>20))
	pagetest.Says(t, "audit-records", fmt.Sprintf("values cut at %d bytes, %d KiB in all of the first %d KiB", maxValue, maxFields>>10, maxRead>>10))
	if RefusalSpan != time.Minute {
		t.Errorf("docs/design.md says 1 minute; it is %v", RefusalSpan)
	}
}
