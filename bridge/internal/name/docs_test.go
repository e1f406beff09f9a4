package name

import (
	"fmt"
	"testing"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/pagetest"
)

func TestDocs_Names(t *testing.T) {
	pagetest.Says(t, "policy-rules", fmt.Sprintf("is an action: 1 to %d of", maxAction), fmt.Sprintf("is a name of 1 to %d of", maxServer))
}
