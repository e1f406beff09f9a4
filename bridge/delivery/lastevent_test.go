package delivery

import (
	"testing"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

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
	if at := last(); at.IsZero() || !at.Equal(stored) {
		t.Errorf("once it was taken over the last event is at %v, it was stored at %v", at, stored)
	}
}
