package idempotency

import (
	"fmt"
	"testing"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/pagetest"
)

// The pages say what the code does.
func TestDocs_LimitsOfKeys(t *testing.T) {
	pagetest.Limits(t, map[string]int{
		"maxKeys": maxKeys, "maxKeyBytes": maxKeyBytes, "maxRepeats": maxRepeats, "keptReply": keptReply, "maxKeysAwaited": maxKeysAwaited, "maxFreed": maxFreed,
	})
	pagetest.Says(t, "actions", fmt.Sprintf("at most %.0f s, then it is `timeout`", keyPatience.Seconds()))
}
