//go:build unix

package state

import (
	"encoding/json"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/view"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
)

// What the bridge itself shows is right after a lost session, though NATS is not there: it
// asks for the lists all the same.
func TestState_AloneAndRight(t *testing.T) {
	t.Parallel()
	p := startPBX(t)
	way := harness.StartRelay(t, p.addr)
	n := harness.StartNATS(t)
	s := harness.ChaosServer("pbx1", way.Addr)
	r := harness.BridgeLogging(t, zap.NewNop(), n.URL, func(c *config.Config) {
		c.Node, c.StatusInterval, c.HTTPAddr = "b1", 200*time.Millisecond, harness.Addr(t)
	}, s)
	shows := func(state string, calls int) {
		t.Helper()
		var pbx1 *view.Present
		harness.Eventually(t, state, func() bool {
			var snap view.Snapshot
			if _, text := r.Get("/status.json"); json.Unmarshal([]byte(text), &snap) != nil || len(snap.Servers) != 1 {
				return false
			}
			pbx1 = snap.Servers[0].Present
			return pbx1 != nil && pbx1.State == state && pbx1.Calls == calls
		})
	}
	p.Begin("1.1", amisim.Raised)
	p.Begin("1.2", amisim.Raised)
	shows("live", 2)
	n.Kill()
	open := way.Close()
	p.End("1.1", amisim.Raised) // while nobody hears it
	p.Begin("1.3", amisim.Raised)
	p.Begin("1.4", amisim.Raised)
	shows("stale", 2)
	open()
	shows("live", 3)
	n.Start()
	b := harness.WatchState(t, harness.Client(t, n.URL))
	b.Wants("1.2", "1.3", "1.4")
	b.Is("pbx1", "live", "b1")
}
