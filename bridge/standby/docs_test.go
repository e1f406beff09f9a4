package standby

import (
	"testing"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/pagetest"
)

// The page says what the code does.
func TestDocs_Bounds(t *testing.T) {
	pagetest.Limits(t, map[string]int{
		"JoinSpan": JoinSpan, "maxMarks": maxMarks, "maxPoints": maxPoints, "maxUnacked": maxUnacked, "maxTail": maxTail, "maxBridges": maxBridges,
		"MaxServers": MaxServers, "MaxMessage": MaxMessage,
	})
}
