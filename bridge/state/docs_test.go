package state

import (
	"testing"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/pagetest"
)

// The pages say what the code does.
func TestDocs_Limits(t *testing.T) {
	pagetest.Limits(t, map[string]int{"window": window})
	pagetest.Says(t, "design", "it takes 32 of each in turn", "after waits of 250 ms to 15 s")
	if turn != 32 {
		t.Errorf("a turn is %d", turn)
	}
}
