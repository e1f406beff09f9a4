package bridge

import (
	"fmt"
	"testing"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/pagetest"
)

// The pages say what the code does.
func TestDocs_LimitsOfOneServersReplies(t *testing.T) {
	pagetest.Limits(t, map[string]int{"replyBytes": replyBytes, "heldBytes": heldBytes})
}

func TestDocs_QueuesOfTheFloor(t *testing.T) {
	pagetest.Limits(t, map[string]int{"maxQueueLabels": maxQueueLabels})
	pagetest.Says(t, "metrics", fmt.Sprintf("has series for %d queues", maxQueueLabels), "are the queue `"+otherQueues+"`")
}
