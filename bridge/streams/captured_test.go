package streams

import (
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/natsconn/conntest"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

func TestStreams_RefusesAStreamOverActions(t *testing.T) {
	s := natstest.Start(t, t.TempDir(), 0)
	nc, js := natstest.Client(t, s.ClientURL())
	for _, subjects := range []string{"ami.actions.>", "ami.actions.pbx1.Ping", ">"} {
		greedy := jetstream.StreamConfig{Name: "GREEDY", Subjects: []string{subjects}, Storage: jetstream.MemoryStorage, NoAck: subjects == ">"}
		if _, err := js.CreateStream(t.Context(), greedy); err != nil {
			t.Fatal(err)
		}
		cfg := config.DefaultConfig()
		k := testStreams(&cfg, conntest.Open(t, nc.ConnectedUrl()))
		if f := k.actions(t.Context()); f.state != Captured || !strings.Contains(f.err.Error(), "GREEDY") {
			t.Errorf("beside a stream over %s: %v, %v, want an error that names it", subjects, f.state, f.err)
		}
		if err := js.DeleteStream(t.Context(), "GREEDY"); err != nil {
			t.Fatal(err)
		}
	}
}
