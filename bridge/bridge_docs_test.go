package bridge

import (
	"testing"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/pagetest"
)

// The pages say what the code does.
func TestDocs_LimitsOfOneServersReplies(t *testing.T) {
	pagetest.Limits(t, map[string]int{"replyBytes": replyBytes, "heldBytes": heldBytes})
}
