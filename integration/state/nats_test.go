//go:build unix

package state

import (
	"fmt"
	"testing"

	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
)

// NATS that is away for a while misses nothing that still holds when it is back.
func TestState_NATSAway(t *testing.T) {
	t.Parallel()
	p := startPBX(t)
	n := harness.StartNATS(t)
	r := stated(t, "b1", n.URL, p, nil)
	b := harness.WatchState(t, r.Client)
	p.begin("1.1", false)
	p.begin("1.2", false)
	b.Wants("1.1", "1.2")
	n.Kill()
	p.end("1.1", false)
	for i := range 2000 { // more than may be on its way
		p.begin(fmt.Sprintf("2.%d", i), false)
	}
	for i := range 1990 {
		p.end(fmt.Sprintf("2.%d", i), false)
	}
	n.Start()
	want := []string{"1.2"}
	for i := 1990; i < 2000; i++ {
		want = append(want, fmt.Sprintf("2.%d", i))
	}
	late := harness.WatchState(t, harness.Client(t, n.URL))
	late.Wants(want...)
	late.Is("pbx1", "live", "b1")
}
