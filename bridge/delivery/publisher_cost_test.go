package delivery

import (
	"testing"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/costtest"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/outbox"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// To publish an event costs no allocation but nats.go's own, which writes the
// headers; that is measured beside it.
func TestPublisher_AllocatesNothingOfItsOwn(t *testing.T) {
	b, p := testBench(t, natstest.Start(t, t.TempDir(), 0).ClientURL(), config.DeliverCore)
	b.servers[0].push(outbox.Entry{Subject: "ami.events.pbx1.Test", Session: "s1", Seq: 1, At: time.Now().UnixNano()}, []byte("{}"), false)
	e, payload, _, _ := b.servers[0].outbox.Take(p.payload)
	p.payload = payload
	whole := costtest.Allocations(func() {
		if err := p.publish(0, p.window.add(0, 100, time.Now()), e, time.Now()); err != nil {
			t.Fatal(err)
		}
		p.window.reset(0)
	})
	theirs := costtest.Allocations(func() {
		if err := p.nc.PublishMsg(&p.msg); err != nil {
			t.Fatal(err)
		}
	})
	t.Logf("publish: %v allocations an event, of which nats.go's %v", whole, theirs)
	if whole > theirs {
		t.Errorf("publish allocates %v, nats.go's PublishMsg alone %v", whole, theirs)
	}
}
