package integration

import (
	"encoding/json"
	"strings"
	"testing"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// api is the JetStream of nc.
func api(t testing.TB, nc *nats.Conn) jetstream.JetStream {
	t.Helper()
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(patience))
	if err != nil {
		t.Fatal(err)
	}
	return js
}

// takeStream deletes a stream and puts another in its place, which takes nothing
// of what is published, so that the bridge cannot make it anew until bring has
// brought it back.
func takeStream(t testing.TB, nc *nats.Conn, name string) (bring func()) {
	t.Helper()
	js := api(t, nc)
	stream, err := js.Stream(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	cfg := stream.CachedInfo().Config
	hold := jetstream.StreamConfig{
		Name: "HOLD", Subjects: []string{strings.Replace(cfg.Subjects[0], ">", "held.held", 1)}, Storage: jetstream.MemoryStorage,
	}
	eventually(t, name+" is taken away", func() bool {
		if err := js.DeleteStream(t.Context(), name); err != nil {
			t.Fatal(err)
		}
		_, err := js.CreateStream(t.Context(), hold)
		return err == nil // else the bridge was faster
	})
	return func() {
		t.Helper()
		if err := js.DeleteStream(t.Context(), "HOLD"); err != nil {
			t.Fatal(err)
		}
		if _, err := js.CreateOrUpdateStream(t.Context(), cfg); err != nil {
			t.Fatal(err)
		}
	}
}

// streamStatus is a stream as ami.nodes tells of it.
type streamStatus struct {
	Name, State, Error string
	Differences        []struct{ Field, Have, Want, Left, Breaks string }
	Messages, Bytes    uint64
	Since              string
}

// fields are those that differ, by name.
func (s streamStatus) fields() string {
	var names []string
	for _, d := range s.Differences {
		names = append(names, d.Field)
	}
	return strings.Join(names, " ")
}

// stands waits until the bridge tells that the stream called name is in state.
func (r *running) stands(name, state string) (last streamStatus) {
	r.t.Helper()
	nodes := r.subscribe("ami.nodes." + r.cfg.Node)
	defer nodes.Unsubscribe()
	defer func() {
		if last.State != state {
			r.t.Logf("%s is told of as %+v", name, last)
		}
	}()
	eventually(r.t, name+" is "+state, func() bool {
		var node struct{ Streams []streamStatus }
		if err := json.Unmarshal(r.next(nodes).Data, &node); err != nil {
			r.t.Fatal(err)
		}
		for _, s := range node.Streams {
			if s.Name == name {
				last = s
			}
		}
		return last.State == state
	})
	return last
}

// relook cuts the bridge's connections: with new ones it looks at the streams.
func relook(t testing.TB, s *natsserver.Server) {
	t.Helper()
	conns, err := s.Connz(nil)
	if err != nil {
		t.Fatal(err)
	}
	cut := 0
	for _, c := range conns.Conns {
		if strings.HasPrefix(c.Name, "ami-nats-bridge/") {
			cut++
			if err := s.DisconnectClientByID(c.Cid); err != nil {
				t.Fatal(err)
			}
		}
	}
	if cut != 2 {
		t.Fatalf("%d connections of the bridge", cut)
	}
}

// enableJetStream has s serve JetStream from now on.
func enableJetStream(t testing.TB, s *natsserver.Server) {
	t.Helper()
	if err := s.EnableJetStream(&natsserver.JetStreamConfig{StoreDir: t.TempDir()}); err != nil {
		t.Fatal(err)
	}
	if err := s.GlobalAccount().EnableJetStream(nil, nil); err != nil {
		t.Fatal(err)
	}
}
