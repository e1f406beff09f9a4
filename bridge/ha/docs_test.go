package ha

import (
	"testing"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/pagetest"
)

// The page says what the code does.
func TestDocs_Bounds(t *testing.T) {
	pagetest.Limits(t, map[string]int{"maxReceived": maxReceived, "beatRate": beatRate, "maxAsks": maxAsks, "maxBefore": maxBefore, "askers": askers})
}
