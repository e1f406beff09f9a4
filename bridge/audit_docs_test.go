package bridge

import (
	"fmt"
	"testing"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/pagetest"
)

// The pages say what the code does.
func TestDocs_LimitsOfTheAudit(t *testing.T) {
	pagetest.Limits(t, map[string]int{
		"maxRequestInfo": maxRequestInfo, "auditQueueBytes": auditQueueBytes, "refusalRate": refusalRate,
		"maxAuditFields": maxAuditFields, "maxAuditRead": maxAuditRead,
	})
	pagetest.Says(t, "actions", fmt.Sprintf("`ActionID`, at most %d bytes", maxRequestID), fmt.Sprintf("at most %d bytes; a claim", maxRequester),
		fmt.Sprintf("within %.0f s or `Ami-Timeout`", intentTimeout.Seconds()))
	pagetest.Says(t, "audit", fmt.Sprintf("within %.0f s (or `Ami-Timeout`", intentTimeout.Seconds()), fmt.Sprintf("in up to %d MiB", auditQueueBytes>>20),
		fmt.Sprintf("values cut at %d bytes, %d KiB in all of the first %d KiB", maxAuditValue, maxAuditFields>>10, maxAuditRead>>10))
	if refusalSpan != time.Minute {
		t.Errorf("docs/design.md says 1 minute; it is %v", refusalSpan)
	}
}
