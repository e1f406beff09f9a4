package actions

import (
	"testing"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/setting"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
)

// Callers of one server share what it takes, for NATS does not say who they are. A second name of the same Asterisk, as
// docs/actions.md has it, is a place of its own: who floods the one keeps nobody from the other, which publishes no event twice.
func TestCallers_ASecondNameIsAPlaceOfItsOwn(t *testing.T) {
	t.Parallel()
	sim, addr := harness.Sim(t, amisim.Config{})
	first, second := harness.ChaosServer("pbx1", addr), harness.ChaosServer("pbx1-dialer", addr)
	first.MaxPending, first.State, second.State = 8, nil, nil
	second.Events, second.EventsDeny = amiconn.Events("call"), setting.Globs{"*"}
	r := harness.Bridge(t, harness.NATS(t), harness.ChaosConfig, []config.ServerConfig{first, second}...)
	events := r.Subscribe("ami.events.pbx1-dialer.>")
	harness.Hold(t, sim, "QueueSummary")
	for range 2 * first.MaxPending {
		r.Ask("pbx1", "QueueSummary", "")
	}
	harness.Fails(t, r.Call("pbx1", "CoreSettings", ""), "busy", "no")
	if got := r.Call("pbx1-dialer", "CoreSettings", ""); got.Error != nil {
		t.Errorf("beside the flood: %+v", got.Error)
	}
	const call = `{"Channel":"Local/100@demo","Application":"Wait","Data":"1","Async":true}`
	if got := r.Call("pbx1-dialer", "Originate", call, "Ami-Wait", "complete"); got.Error != nil {
		t.Errorf("a call beside it: %+v", got.Error)
	}
	if n, _, err := events.Pending(); err != nil || n > 0 {
		t.Errorf("%d events are there twice, %v", n, err)
	}
	sim.Kick() // what is held ends
}
