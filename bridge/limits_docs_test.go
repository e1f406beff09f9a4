package bridge

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/name"
)

// documentedLimits are the numbers that docs/design.md has behind a name in its
// table of bounds, in bytes where they are of KiB or MiB.
func documentedLimits(t *testing.T) map[string]int {
	t.Helper()
	page, err := os.ReadFile("../docs/design.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(page), "\n## Bounds\n")
	table, _, _ = strings.Cut(table, "\n## ")
	limits := make(map[string]int)
	for _, m := range regexp.MustCompile("`(\\w+)`,? (?:fewer than )?([0-9][0-9,]*)(?: ([KM])iB)?(?: - ([0-9]+) KiB)?").FindAllStringSubmatch(table, -1) {
		n, err := strconv.Atoi(strings.ReplaceAll(m[2], ",", ""))
		if err != nil {
			t.Fatal(err)
		}
		n *= map[string]int{"": 1, "K": 1 << 10, "M": 1 << 20}[m[3]]
		if m[4] != "" {
			less, _ := strconv.Atoi(m[4])
			n -= less << 10
		}
		limits[m[1]] = n
	}
	return limits
}

// The limits of what is asked for, remembered and recorded are those of the page.
func TestDocs_DesignHasTheLimitsOfRequests(t *testing.T) {
	documented := documentedLimits(t)
	for name, limit := range map[string]int{
		"maxBody": maxBody, "maxMembers": maxMembers, "maxOwn": maxOwn, "maxOptions": maxOptions, "maxRequestInfo": maxRequestInfo,
		"requestBytes": requestBytes, "queuedRequests": queuedRequests, "queuedBytes": queuedBytes,
		"replyBytes": replyBytes, "streamBytes": streamBytes, "heldBytes": heldBytes,
		"auditQueueBytes": auditQueueBytes, "refusalRate": refusalRate, "maxAuditFields": maxAuditFields, "maxAuditRead": maxAuditRead,
		"maxKeys": maxKeys, "maxKeyBytes": maxKeyBytes, "maxRepeats": maxRepeats, "keptReply": keptReply, "maxKeyWaits": maxKeyWaits,
	} {
		if documented[name] != limit {
			t.Errorf("%s is %d, docs/design.md says %d", name, limit, documented[name])
		}
	}
}

// Other pages say these.
func TestDocs_PagesHaveTheLimits(t *testing.T) {
	for page, says := range map[string][]string{
		"actions.md": {
			fmt.Sprintf("`ActionID`, at most %d bytes", maxRequestID), fmt.Sprintf("at most %d bytes; a claim", maxRequester),
			fmt.Sprintf("1 to %d bytes; see", maxKey), fmt.Sprintf("at most %.0f s, then it is `timeout`", keyPatience.Seconds()),
			fmt.Sprintf("within %.0f s or `Ami-Timeout`", intentTimeout.Seconds()),
		},
		"audit.md": {
			fmt.Sprintf("within %.0f s (or `Ami-Timeout`", intentTimeout.Seconds()), fmt.Sprintf("values cut at %d bytes, %d KiB in all of the first %d KiB",
				maxAuditValue, maxAuditFields>>10, maxAuditRead>>10), fmt.Sprintf("in up to %d MiB", auditQueueBytes>>20),
		},
		"policy.md": {
			fmt.Sprintf("is an action: 1 to %d of", name.MaxAction), fmt.Sprintf("is a name of 1 to %d of", name.MaxServer),
		},
	} {
		text, err := os.ReadFile("../docs/" + page)
		if err != nil {
			t.Fatal(err)
		}
		for _, one := range says {
			if !strings.Contains(string(text), one) {
				t.Errorf("docs/%s does not say %q", page, one)
			}
		}
	}
	if refusalSpan != time.Minute || journalEntryBytes != 512 || askBytes != 1<<10 {
		t.Errorf("docs/design.md says 1 minute, 512 bytes a record, 1 KiB a request; they are %v, %d, %d", refusalSpan, journalEntryBytes, askBytes)
	}
}
