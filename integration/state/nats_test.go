//go:build unix

package state

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
)

// NATS that is away for a while misses nothing that still holds when it is back.
func TestState_NATSAway(t *testing.T) {
	t.Parallel()
	p := startPBX(t)
	n := harness.StartNATS(t)
	r := stated(t, "b1", n.URL, p, nil)
	b := harness.WatchState(t, r.Client)
	p.Begin("1.1", amisim.Raised)
	p.Begin("1.2", amisim.Raised)
	b.Wants("1.1", "1.2")
	n.Kill()
	p.End("1.1", amisim.Raised)
	for i := range 2000 { // more than may be on its way
		p.Begin(fmt.Sprintf("2.%d", i), amisim.Raised)
	}
	for i := range 1990 {
		p.End(fmt.Sprintf("2.%d", i), amisim.Raised)
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

// Beside a nats-server before 2.11, whose messages have no time to live, the state is off,
// said once, and events and Actions go as ever.
func TestState_OffBesideAnOldNATS(t *testing.T) {
	t.Parallel()
	p := startPBX(t)
	n := harness.StartOldNATS(t, "2.10.29")
	core, lines := observer.New(zapcore.InfoLevel)
	r := harness.BridgeLogging(t, zap.New(core), n.URL, func(c *config.Config) { c.StatusInterval = 200 * time.Millisecond }, harness.Server("pbx1", p.addr, "bridge", "s3cret"))
	nodes, events := r.Subscribe("ami.nodes.b1"), r.Subscribe("ami.events.pbx1.Newchannel")
	r.AwaitText(nodes, `"state":{"state":"off","reason":"the bucket is off: it wants nats-server 2.11 or later`)
	p.Begin("1.1", amisim.Raised)
	r.Next(events)
	harness.Succeeds(t, r.Call("pbx1", "CoreShowChannels", ""))
	if n := p.Received("CoreShowChannels"); n != 1 {
		t.Errorf("%d lists were asked for", n-1)
	}
	for range 3 { // status, and looks at the streams
		r.Next(nodes)
	}
	if all := lines.FilterMessage("state is off").All(); len(all) != 1 {
		t.Errorf("said %d times: %v", len(all), all)
	}
	if _, err := harness.JetStream(t, r.Client).Stream(t.Context(), streams.StateStream); !errors.Is(err, jetstream.ErrStreamNotFound) {
		t.Errorf("a bucket: %v", err)
	}
}
