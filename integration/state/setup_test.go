package state

import (
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
)

// pbx is a simulated Asterisk with channels that the test has begin and end.
type pbx struct {
	*amisim.Server
	*amisim.Floor
	addr string
}

func startPBX(t testing.TB) *pbx {
	t.Helper()
	p := new(pbx)
	p.Server, p.addr = harness.Sim(t, amisim.Config{})
	p.Floor = amisim.NewFloor(p.Server)
	return p
}

// stated is a bridge of node that keeps the state of p, called pbx1.
func stated(t testing.TB, node, url string, p *pbx, change func(*config.Config)) *harness.Running {
	t.Helper()
	return harness.BridgeLogging(t, zap.NewNop(), url, func(c *config.Config) {
		c.Node, c.StatusInterval, c.StateInterval, c.StateMarkerAge = node, 200*time.Millisecond, 20*time.Millisecond, time.Minute
		if change != nil {
			change(c)
		}
	}, harness.Server("pbx1", p.addr, "bridge", "s3cret"))
}

// mixed is a call of each kind at a real Asterisk.
const mixed = "call chain hop hoppark noanswer busy fork conf quick park page lamp q s "

// optimising hears of the Local channels of r's server that are optimised away.
func optimising(r *harness.Running) (wants func()) {
	begin, end := r.Subscribe("ami.events.pbx1.LocalOptimizationBegin"), r.Subscribe("ami.events.pbx1.LocalOptimizationEnd")
	return func() { // at least one, or the calls show nothing of it; its Success is No always (core_local.c reads a boolean as a number)
		r.T.Helper()
		r.Next(begin)
		r.Next(end)
	}
}
