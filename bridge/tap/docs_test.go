package tap

import (
	"testing"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/pagetest"
)

// The pages say what the code does.
func TestDocs_Bounds(t *testing.T) {
	pagetest.Limits(t, map[string]int{"tapBytes": tapBytes, "tapEvents": tapEvents})
}
