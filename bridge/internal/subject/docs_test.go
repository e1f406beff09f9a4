package subject

import (
	"fmt"
	"testing"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/pagetest"
)

func TestDocs_Names(t *testing.T) {
	pagetest.Says(t, "design", fmt.Sprintf("`maxEventNames`, %d a server; tokens are cut at %d bytes", MaxNames, MaxToken))
}
