package events

import (
	"strings"
	"testing"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/realasterisk"
)

// A real Asterisk that was restarted is told from a connection that was cut.
func TestReal_GapTellsARestart(t *testing.T) {
	t.Parallel()
	realasterisk.Each(t, func(t *testing.T, a *realasterisk.Instance) {
		a.NeedsOwn(t)
		way := harness.StartRelay(t, a.Addr())
		s := harness.Server("pbx1", way.Addr, a.User().Name, a.User().Secret)
		s.BreakerFailures = 1000
		r := harness.Bridge(t, harness.NATS(t), func(c *config.Config) { c.StatusInterval = time.Second }, s)
		gaps := r.Subscribe("ami.status.pbx1.gap")
		states := r.Subscribe("ami.status.pbx1.connection")
		// One that is cut before it has said its uptime cannot be told either.
		harness.Eventually(t, "FullyBooted", func() bool { return r.Metric("events_received_total") > 0 })
		way.Cut()
		if gap := r.Next(gaps); !strings.Contains(string(gap.Data), `"restarted":false`) {
			t.Errorf("a cut connection: %s", gap.Data)
		}
		r.AwaitText(states, `"sessions":{"action":"up","event":"up"}`)
		// Asterisk counts its uptime in whole seconds: one that lived for less
		// cannot be told from the next.
		r.AwaitText(r.Subscribe("ami.nodes.b1"), `"uptime_s":4`)
		if err := a.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		if gap := r.Next(gaps); !strings.Contains(string(gap.Data), `"restarted":true`) {
			t.Errorf("a restart: %s", gap.Data)
		}
	})
}
