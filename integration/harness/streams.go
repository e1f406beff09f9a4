package harness

import (
	"encoding/json"
	"strings"
	"testing"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
)

// TakeStream deletes a stream and puts another in its place, which takes nothing
// of what is published, so that the bridge cannot make it anew until bring has
// brought it back.
func TakeStream(t testing.TB, nc *nats.Conn, name string) (bring func()) {
	t.Helper()
	js := JetStream(t, nc)
	stream, err := js.Stream(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	cfg := stream.CachedInfo().Config
	hold := jetstream.StreamConfig{
		Name: "HOLD", Subjects: []string{strings.Replace(cfg.Subjects[0], ">", "held.held", 1)}, Storage: jetstream.MemoryStorage,
	}
	Eventually(t, name+" is taken away", func() bool {
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

// StreamStatus is a stream as ami.nodes tells of it.
type StreamStatus struct {
	Name, State, Error string
	Differences        []struct{ Field, Have, Want, Left, Breaks string }
	Messages, Bytes    uint64
	Since              string
}

// Fields are those that differ, by name.
func (s StreamStatus) Fields() string {
	var names []string
	for _, d := range s.Differences {
		names = append(names, d.Field)
	}
	return strings.Join(names, " ")
}

// Stands waits until the bridge tells that the stream called name is in state.
func (r *Running) Stands(name, state string) (last StreamStatus) {
	r.T.Helper()
	nodes := r.Subscribe("ami.nodes." + r.Config.Node)
	defer nodes.Unsubscribe()
	defer func() {
		if last.State != state {
			r.T.Logf("%s is told of as %+v", name, last)
		}
	}()
	Eventually(r.T, name+" is "+state, func() bool {
		var node struct{ Streams []StreamStatus }
		if err := json.Unmarshal(r.Next(nodes).Data, &node); err != nil {
			r.T.Fatal(err)
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

// Relook cuts the bridge's connections: with new ones it looks at the streams.
func Relook(t testing.TB, s *natsserver.Server) {
	t.Helper()
	conns := OwnConns(t, s)
	for _, id := range conns {
		if err := s.DisconnectClientByID(id); err != nil {
			t.Fatal(err)
		}
	}
	if len(conns) != 2 {
		t.Fatalf("%d connections of the bridge", len(conns))
	}
}

// OwnConns are the connections of a bridge at s.
func OwnConns(t testing.TB, s *natsserver.Server) (ids []uint64) {
	t.Helper()
	conns, err := s.Connz(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range conns.Conns {
		if strings.HasPrefix(c.Name, "ami-nats-bridge/") {
			ids = append(ids, c.Cid)
		}
	}
	return ids
}

// WithoutStream takes the stream of events away and returns a function that
// brings it back, once each server has seen that it is gone: a stream that comes
// in the middle of a first burst gets its end before its beginning.
func (r *Running) WithoutStream() (bring func()) {
	r.T.Helper()
	bringBack := TakeStream(r.T, r.Client, streams.EventStream)
	return func() {
		r.T.Helper()
		Eventually(r.T, "no server sends more than one event at a time", func() bool {
			return r.Metric("outbox_in_flight_events") <= float64(len(r.Config.Servers))
		})
		bringBack()
	}
}
