//go:build unix

package conns

import (
	"encoding/json"
	"testing"

	natsserver "github.com/nats-io/nats-server/v2/server"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
)

// The right to one server's subjects is taken, while others' events are stored, so that the
// stream itself takes messages: that nothing of it moves is told of that server alone, and is
// over with the right.
func TestConns_OneServerIsStalled(t *testing.T) {
	t.Parallel()
	denied, addr := harness.Sim(t, amisim.Config{NotBooted: true})
	r := startRuled(t, func(c *config.Config) { c.Servers = append(c.Servers, harness.ChaosServer("pbx2", addr)) }, nil)
	r.works()
	stalled := func(server string) bool {
		var m struct {
			Queued   uint64  `json:"queued"`
			InFlight uint64  `json:"in_flight"`
			StalledS float64 `json:"stalled_s"`
		}
		if err := json.Unmarshal(r.Next(r.Subscribe("ami.status."+server+".buffers")).Data, &m); err != nil {
			t.Fatal(err)
		}
		return m.StalledS > 1 && m.Queued+m.InFlight > 0
	}
	r.rights(&natsserver.Permissions{Publish: harness.Denied("ami.events.pbx2.>")})
	denied.Emit("Event", "Held")
	harness.Eventually(t, "pbx2 is stalled", func() bool {
		r.sim.Emit("Event", "Flows")
		return stalled("pbx2")
	})
	if stalled("pbx1") {
		t.Error("pbx1 is stalled, whose events are stored")
	}
	harness.Eventually(t, "it is tried again", func() bool {
		r.sim.Emit("Event", "Flows")
		return r.Metric("events_resent_total") > 8
	})
	if n := r.logs.FilterMessage("stream cannot be used").Len(); n != 1 {
		t.Errorf("said %d times of the stream", n)
	}
	r.rights(nil)
	harness.Eventually(t, "pbx2 flows", func() bool { return !stalled("pbx2") })
}
