package streams

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/longtest"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

const heldEvents = 20

// verify has a bridge change nothing, and do without what is not there.
func verify(c *config.Config) { c.Streams, c.Audit = config.StreamsVerify, config.AuditOff }

// holdsIn runs a bridge that finds the stream of events in state: it serves, and
// holds what Asterisk sends. When heal has mended it, all is stored, in order.
func holdsIn(t *testing.T, s *natsserver.Server, state, why string, change func(*config.Config), heal func(*harness.Running)) {
	t.Helper()
	sim, addr := harness.Sim(t, amisim.Config{NotBooted: true})
	r := harness.Bridge(t, s.ClientURL(), func(c *config.Config) {
		harness.ChaosConfig(c)
		c.HTTPAddr = harness.Addr(t)
		if change != nil {
			change(c)
		}
	}, harness.ChaosServer("pbx1", addr))
	if got := r.Stands(streams.EventStream, state); !strings.Contains(got.Error, why) || got.Since == "" {
		t.Errorf("it is %+v, want an error with %q", got, why)
	}
	for i := range heldEvents {
		sim.Emit("Event", "Held", "N", fmt.Sprint(i))
	}
	harness.Eventually(t, "all is read", func() bool { return r.Metric("events_received_total") == heldEvents })
	if published := r.Metric("events_published_total"); published != 0 {
		t.Errorf("%v events count as published", published)
	}
	if code, body := r.Get("/readyz"); code != http.StatusOK || !strings.Contains(body, `"AMI_EVENTS":"`+state+`"`) {
		t.Errorf("/readyz is %d, %s", code, body)
	}
	if reply := r.Call("pbx1", "CoreStatus", ""); reply.Error != nil {
		t.Errorf("an action meanwhile: %+v", reply.Error)
	}
	heal(r)
	r.Stands(streams.EventStream, "ok")
	r.Drained("pbx1", heldEvents)
	story := r.Story("pbx1")
	for i, e := range story {
		if e.Seq != uint64(i+1) || e.Text("N") != fmt.Sprint(i) {
			t.Errorf("the %dth that is stored is %d, %s", i, e.Seq, e.Data)
		}
	}
	if len(story) != heldEvents {
		t.Errorf("%d are stored, want %d", len(story), heldEvents)
	}
}

// updateStream changes the stream of events.
func updateStream(r *harness.Running, change func(*jetstream.StreamConfig)) {
	r.T.Helper()
	js := harness.JetStream(r.T, r.Client)
	stream, err := js.Stream(r.T.Context(), streams.EventStream)
	if err != nil {
		r.T.Fatal(err)
	}
	cfg := stream.CachedInfo().Config
	change(&cfg)
	if _, err := js.UpdateStream(r.T.Context(), cfg); err != nil {
		r.T.Fatal(err)
	}
}

func TestStreams_MissingWithVerify(t *testing.T) {
	s := natstest.Serve(t, nil)
	holdsIn(t, s, "missing", "BRIDGE_STREAMS=manage", verify, func(r *harness.Running) {
		for _, c := range []jetstream.StreamConfig{
			{Name: streams.StatusStream, Subjects: []string{"ami.status.>", "ami.nodes.>"}, MaxMsgsPerSubject: 1},
			{Name: streams.EventStream, Subjects: []string{"ami.events.>"}, MaxAge: r.Config.Stream.MaxAge, MaxBytes: int64(r.Config.Stream.MaxBytes),
				Compression: jetstream.S2Compression, AllowDirect: true, AllowBatchPublish: true},
		} {
			if _, err := harness.JetStream(t, r.Client).CreateStream(t.Context(), c); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// The server does not let the stream be made: another has its subjects.
func TestStreams_MissingThatCannotBeMade(t *testing.T) {
	s := natstest.Serve(t, nil)
	js := harness.JetStream(t, harness.Client(t, s.ClientURL()))
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "OLD", Subjects: []string{"ami.events.old.>"}}); err != nil {
		t.Fatal(err)
	}
	holdsIn(t, s, "missing", "subjects overlap", nil, func(r *harness.Running) {
		if err := js.DeleteStream(t.Context(), "OLD"); err != nil {
			t.Fatal(err)
		}
	})
}

func TestStreams_NoJetStream(t *testing.T) {
	s := natstest.Serve(t, func(o *natsserver.Options) { o.JetStream = false })
	holdsIn(t, s, "no_jetstream", "enable JetStream", nil, func(*harness.Running) { harness.EnableJetStream(t, s) })
}

// JetStream that does not answer, as without a leader: here, nobody does.
func TestStreams_JetStreamThatDoesNotAnswer(t *testing.T) {
	longtest.Mark(t, "an answer of JetStream is waited for for 10 s (streams.Timeout)")
	t.Parallel()
	s := natstest.Serve(t, func(o *natsserver.Options) { o.JetStream = false })
	silent, err := harness.Client(t, s.ClientURL()).Subscribe("$JS.API.>", func(*nats.Msg) {})
	if err != nil {
		t.Fatal(err)
	}
	holdsIn(t, s, "unavailable", "does not answer", nil, func(*harness.Running) {
		if err := silent.Unsubscribe(); err != nil {
			t.Fatal(err)
		}
		harness.EnableJetStream(t, s)
	})
}

func TestStreams_Sealed(t *testing.T) {
	s := natstest.Serve(t, nil)
	js := harness.JetStream(t, harness.Client(t, s.ClientURL()))
	stream, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: streams.EventStream, Subjects: []string{"ami.events.>"}})
	if err != nil {
		t.Fatal(err)
	}
	cfg := stream.CachedInfo().Config
	cfg.Sealed = true
	if _, err := js.UpdateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	holdsIn(t, s, "read_only", "sealed", nil, func(*harness.Running) {
		if err := js.DeleteStream(t.Context(), streams.EventStream); err != nil {
			t.Fatal(err)
		}
	})
}

func TestStreams_AMirror(t *testing.T) {
	s := natstest.Serve(t, nil)
	js := harness.JetStream(t, harness.Client(t, s.ClientURL()))
	for _, c := range []jetstream.StreamConfig{
		{Name: "ORIGIN", Subjects: []string{"origin"}}, {Name: streams.EventStream, Mirror: &jetstream.StreamSource{Name: "ORIGIN"}},
	} {
		if _, err := js.CreateStream(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	holdsIn(t, s, "read_only", "mirror of ORIGIN", nil, func(*harness.Running) {
		if err := js.DeleteStream(t.Context(), streams.EventStream); err != nil {
			t.Fatal(err)
		}
	})
}

// A stream that refuses what is new when it is full has no room at all here.
func TestStreams_Full(t *testing.T) {
	s := natstest.Serve(t, nil)
	js := harness.JetStream(t, harness.Client(t, s.ClientURL()))
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{
		Name: streams.EventStream, Subjects: []string{"ami.events.>", "other"}, MaxMsgs: 1, Discard: jetstream.DiscardNew,
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := js.Publish(t.Context(), "other", nil); err != nil {
		t.Fatal(err)
	}
	holdsIn(t, s, "full", "at its limit", verify, func(r *harness.Running) {
		updateStream(r, func(c *jetstream.StreamConfig) {
			c.MaxMsgs, c.Discard, c.MaxAge, c.MaxBytes = -1, jetstream.DiscardOld, r.Config.Stream.MaxAge, int64(r.Config.Stream.MaxBytes)
			c.Compression, c.AllowDirect, c.AllowBatchPublish = jetstream.S2Compression, true, true
		})
	})
}
