package delivery

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/natsconn/conntest"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/outbox"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// A stream whose events another takes over may hold none of what it had.
func TestRecall_EventsThatWereTakenOver(t *testing.T) {
	s := natstest.Serve(t, func(*natsserver.Options) {})
	_, js := natstest.Client(t, s.ClientURL())
	stream, err := js.CreateStream(t.Context(), streams.Forwarded(jetstream.StreamConfig{Name: streams.EventStream, Subjects: []string{"ami.events.>"}}))
	if err != nil {
		t.Fatal(err)
	}
	last := func() time.Time {
		at, err := lastEvent(t.Context(), js, "ami.events.pbx1.>")
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	if at := last(); !at.IsZero() {
		t.Errorf("a new stream has its last event at %v", at)
	}
	if _, err := js.Publish(t.Context(), "ami.events.pbx1.Hangup", nil); err != nil {
		t.Fatal(err)
	}
	stored := last()
	consumer, err := stream.CreateConsumer(t.Context(), jetstream.ConsumerConfig{AckPolicy: jetstream.AckExplicitPolicy})
	if err != nil {
		t.Fatal(err)
	}
	msg, err := consumer.Next()
	if err != nil {
		t.Fatal(err)
	}
	if err := msg.DoubleAck(t.Context()); err != nil {
		t.Fatal(err)
	}
	if at := last(); at.Sub(stored).Abs() > time.Second { // by two clocks
		t.Errorf("once it was taken over the last event is at %v, it was stored at %v", at, stored)
	}
}

// A question that was out when the connection fell is asked again on the next one. Who waited its
// time out would hold all events of that server meanwhile, although NATS is back.
func TestRecall_AsksAgainOnTheNextConnection(t *testing.T) {
	s := natstest.Serve(t, func(o *natsserver.Options) { o.JetStream = false })
	control := conntest.Open(t, s.ClientURL())
	source := &Source{
		Name: "pbx1", Filter: "ami.events.pbx1.>", ready: func(int) {},
		Outbox: outbox.New(1<<20, "ami.events.pbx1.AmiBridgeGap", outbox.NewBudget(1<<20, 1), func() {}),
	}
	nc, _ := natstest.Client(t, s.ClientURL())
	var asked atomic.Int32
	_, err := nc.Subscribe("$JS.API.STREAM.INFO."+streams.EventStream, func(m *nats.Msg) {
		if asked.Add(1) == 1 {
			_ = control.Get().ForceReconnect() // and the answer never comes
			return
		}
		_ = m.Respond([]byte(`{"error":{"code":404,"err_code":10059,"description":"stream not found"}}`))
	})
	if err := errors.Join(err, nc.Flush()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), lastEventTimeout)
	defer cancel()
	TellLastEvents(ctx, control, []*Source{source}, zap.NewNop())
	if ctx.Err() != nil || asked.Load() < 2 {
		t.Errorf("it was asked %d times, and %v", asked.Load(), ctx.Err())
	}
}
