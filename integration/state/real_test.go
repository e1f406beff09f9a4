package state

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/realasterisk"
)

// What the bucket has after mixed calls at a real Asterisk, with another process of the
// bridge from the middle on, its own lists find nothing to correct in.
func TestReal_TheBucketNeedsNoCorrection(t *testing.T) {
	t.Parallel()
	realasterisk.EachAndNext(t, func(t *testing.T, a *realasterisk.Instance) {
		ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
		defer cancel()
		url := harness.NATS(t)
		start := func() *harness.Running {
			return harness.BridgeLogging(t, zap.NewNop(), url, func(c *config.Config) {
				c.Servers[0].StateResync = 10 * time.Second
				c.Servers[0].State = append(c.Servers[0].State, "agents", "presence", "contacts") // a registration changes by itself after 30 s
			}, harness.Server("pbx1", a.Addr(), a.User().Name, a.User().Secret))
		}
		calls := func() {
			extens := strings.Fields(strings.Repeat(mixed, 4))
			for batch := range slices.Chunk(extens, 24) {
				if err := a.Calls(ctx, batch...); err != nil {
					t.Fatal(err)
				}
			}
		}
		first := start()
		b := harness.WatchState(t, first.Client)
		b.Is("pbx1", "live", "b1")
		calls()
		if err := first.Stop(); err != nil {
			t.Fatal(err)
		}
		b = harness.WatchState(t, harness.Client(t, url))
		b.Is("pbx1", "stale", "b1")
		second := start()
		optimised := optimising(second)
		b.Is("pbx1", "live", "b1")
		calls()
		optimised()
		select { // events of other threads of Asterisk may come behind those of the calls
		case <-time.After(2 * time.Second):
		case <-ctx.Done():
			t.Fatal(ctx.Err())
		}
		corrections := func() float64 { return second.Metric("state_corrections_total") }
		lists := func() float64 { return second.Metric("state_lists_total") }
		load, rest, asked := corrections(), b.Up(), lists()
		// At the most one round was under way.
		harness.Eventually(t, "two rounds of lists", func() bool { return lists() >= asked+24 })
		if diff := cmp.Diff(rest, b.Up()); diff != "" || corrections() != load {
			t.Errorf("%v corrections 2 s after rest (-before +after):\n%s", corrections()-load, diff)
		}
		for key, value := range rest {
			if value["Password"] != nil || value["Secret"] != nil {
				t.Errorf("%s: %v", key, value)
			}
		}
		t.Logf("%d keys at rest, %v corrections under load, of %v writes; %v", len(rest), load, second.Metric("state_writes_total"), b.Server("pbx1"))
	})
}
