//go:build unix

package ha

import (
	"testing"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
)

// Where one bridge only is to read a server nobody stands by, and nothing is wrong: the alert
// AmiNoStandbyInSync, which looks for a 0, has none to find until there are to be two.
func TestCopies_NobodyIsMissedWhereNobodyIsToStandBy(t *testing.T) {
	t.Parallel()
	f := newFleet(t, shape{})
	r, _ := f.shares("b1", f.nats[0].URL, f.addr, func(c *config.Config) { c.HACopies = 1 })
	harness.Eventually(t, "it leads", func() bool { return r.Metric("ha_leads") == 1 })
	if _, told := r.By("state")["in_sync"]["ha_standbys"]; told {
		t.Error("it says how many stand by, though none is to")
	}
	cfg := r.Config
	cfg.HACopies = 2
	if _, err := r.Bridge.Reload(cfg); err != nil {
		t.Fatal(err)
	}
	if n, told := r.By("state")["in_sync"]["ha_standbys"]; !told || n != 0 {
		t.Errorf("of two, %v stand by, told: %v", n, told)
	}
}
