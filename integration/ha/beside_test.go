//go:build unix

package ha

import (
	"strings"
	"testing"
	"time"

	"go.uber.org/zap/zaptest/observer"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/longtest"
)

// A bridge without BRIDGE_HA beside two that have it, on a busy server: each side says so, by
// name as far as it can know, and goes on. Those that share the server lead as ever, one after
// the other, though nobody can fence the one that shares nothing. When it has gone nobody says
// so any more.
func TestBeside_ABridgeThatSharesNothing(t *testing.T) {
	longtest.Mark(t, "two bridges join, and one takes over, behind a silence of four seconds")
	t.Parallel()
	f := newFleet(t, shape{})
	patient := func(c *config.Config) { c.HASilence = 4 * time.Second } // the test may run beside others
	b1, log1 := f.shares("b1", f.nats[0].URL, f.addr, patient)
	f.ear.leads("b1", 0)
	b2, log2 := f.shares("b2", f.nats[0].URL, f.addr, patient)
	alone, logAlone := f.shares("b9", f.nats[0].URL, f.addr, func(c *config.Config) {
		c.HA, c.NATS.User, c.NATS.Password = false, "reader", "reader"
	})
	delete(f.bridges, "b9") // it says nothing to the others
	if err := f.sim.WaitEventSessions(t.Context(), 3); err != nil {
		t.Fatal(err)
	}
	says := func(r *harness.Running, text string, yes bool) {
		t.Helper()
		harness.Eventually(t, r.Config.Node+" says: "+text, func() bool {
			f.emit(1)
			code, body := r.Get("/readyz")
			return code == 200 && strings.Contains(body, text) == yes && (r.Metric("events_doubled") == 1) == yes
		})
	}
	const byAlone = "pbx1: b9, a bridge without BRIDGE_HA=on, publishes its events too"
	says(b1, byAlone, true)
	says(alone, "pbx1: bridges with BRIDGE_HA=on publish its events too", true)

	if err := b1.Stop(); err != nil {
		t.Errorf("b1 ended with: %v", err)
	}
	delete(f.bridges, "b1")
	harness.Eventually(t, "b2 leads", func() bool { f.emit(1); return b2.Metric("ha_leads") == 1 })
	before := b2.Metric("events_published_total")
	harness.Eventually(t, "its events flow", func() bool { f.emit(1); return b2.Metric("events_published_total") > before+500 })
	says(b2, byAlone, true)
	if n := b2.Metric("ha_takeovers_total", "reason", "fence"); n > 0 {
		t.Errorf("it had to claim %v times more, for its fence was refused", n)
	}

	if err := alone.Stop(); err != nil {
		t.Errorf("b9 ended with: %v", err)
	}
	says(b2, byAlone, false)
	// One that hears nothing of the other for some looks says so, and may be wrong: on a busy
	// machine these looks, ten a second here, are soon over.
	for node, logs := range map[string]*observer.ObservedLogs{"b1": log1, "b2": log2, "b9": logAlone} {
		begins, ends := logs.FilterMessage("another bridge publishes this server too").Len(), logs.FilterMessage("this bridge alone publishes the server again").Len()
		if begins == 0 || node == "b2" && begins != ends {
			t.Errorf("%s has logged %d times that it is not alone, and %d times that it is", node, begins, ends)
		}
	}
}
