package integration

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
)

const heldEvents = 20

// verify has a bridge change nothing, and do without what is not there.
func verify(c *config.Config) { c.Streams, c.Audit = config.StreamsVerify, config.AuditOff }

// holdsIn runs a bridge that finds the stream of events in state: it serves, and
// holds what Asterisk sends. When heal has mended it, all is stored, in order.
func holdsIn(t *testing.T, s *natsserver.Server, state, why string, change func(*config.Config), heal func(*running)) {
	t.Helper()
	sim, addr := startSim(t, amisim.Config{NotBooted: true})
	r := startBridge(t, s.ClientURL(), func(c *config.Config) {
		chaosConfig(c)
		c.HTTPAddr = freeAddr(t)
		if change != nil {
			change(c)
		}
	}, chaosServer("pbx1", addr))
	if got := r.stands(streams.EventStream, state); !strings.Contains(got.Error, why) || got.Since == "" {
		t.Errorf("it is %+v, want an error with %q", got, why)
	}
	for i := range heldEvents {
		sim.Emit("Event", "Held", "N", fmt.Sprint(i))
	}
	eventually(t, "all is read", func() bool { return r.metric("events_received_total") == heldEvents })
	if published := r.metric("events_published_total"); published != 0 {
		t.Errorf("%v events count as published", published)
	}
	if code, body := r.get("/readyz"); code != http.StatusOK || !strings.Contains(body, `"AMI_EVENTS":"`+state+`"`) {
		t.Errorf("/readyz is %d, %s", code, body)
	}
	if reply := r.call("pbx1", "CoreStatus", ""); reply.Error != nil {
		t.Errorf("an action meanwhile: %+v", reply.Error)
	}
	heal(r)
	r.stands(streams.EventStream, "ok")
	r.settled("pbx1", heldEvents)
	story := r.story("pbx1")
	for i, e := range story {
		if e.seq != uint64(i+1) || e.text("N") != fmt.Sprint(i) {
			t.Errorf("the %dth that is stored is %d, %s", i, e.seq, e.data)
		}
	}
	if len(story) != heldEvents {
		t.Errorf("%d are stored, want %d", len(story), heldEvents)
	}
}

// update changes the stream of events.
func (r *running) update(change func(*jetstream.StreamConfig)) {
	r.t.Helper()
	js := api(r.t, r.nc)
	stream, err := js.Stream(r.t.Context(), streams.EventStream)
	if err != nil {
		r.t.Fatal(err)
	}
	cfg := stream.CachedInfo().Config
	change(&cfg)
	if _, err := js.UpdateStream(r.t.Context(), cfg); err != nil {
		r.t.Fatal(err)
	}
}

func TestStreams_MissingWithVerify(t *testing.T) {
	s := natsInProcess(t, nil)
	holdsIn(t, s, "missing", "BRIDGE_STREAMS=manage", verify, func(r *running) {
		for _, c := range []jetstream.StreamConfig{
			{Name: streams.StatusStream, Subjects: []string{"ami.status.>", "ami.nodes.>"}, MaxMsgsPerSubject: 1},
			{Name: streams.EventStream, Subjects: []string{"ami.events.>"}, MaxAge: r.cfg.Stream.MaxAge, MaxBytes: int64(r.cfg.Stream.MaxBytes),
				Compression: jetstream.S2Compression, AllowDirect: true, AllowBatchPublish: true},
		} {
			if _, err := api(t, r.nc).CreateStream(t.Context(), c); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// The server does not let the stream be made: another has its subjects.
func TestStreams_MissingThatCannotBeMade(t *testing.T) {
	s := natsInProcess(t, nil)
	js := api(t, connect(t, s.ClientURL()))
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "OLD", Subjects: []string{"ami.events.old.>"}}); err != nil {
		t.Fatal(err)
	}
	holdsIn(t, s, "missing", "subjects overlap", nil, func(r *running) {
		if err := js.DeleteStream(t.Context(), "OLD"); err != nil {
			t.Fatal(err)
		}
	})
}

func TestStreams_NoJetStream(t *testing.T) {
	s := natsInProcess(t, func(o *natsserver.Options) { o.JetStream = false })
	holdsIn(t, s, "no_jetstream", "enable JetStream", nil, func(*running) { enableJetStream(t, s) })
}

// JetStream that does not answer, as without a leader: here, nobody does.
func TestStreams_JetStreamThatDoesNotAnswer(t *testing.T) {
	t.Parallel()
	s := natsInProcess(t, func(o *natsserver.Options) { o.JetStream = false })
	silent, err := connect(t, s.ClientURL()).Subscribe("$JS.API.>", func(*nats.Msg) {})
	if err != nil {
		t.Fatal(err)
	}
	holdsIn(t, s, "unavailable", "does not answer", nil, func(*running) {
		if err := silent.Unsubscribe(); err != nil {
			t.Fatal(err)
		}
		enableJetStream(t, s)
	})
}

func TestStreams_Sealed(t *testing.T) {
	s := natsInProcess(t, nil)
	js := api(t, connect(t, s.ClientURL()))
	stream, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: streams.EventStream, Subjects: []string{"ami.events.>"}})
	if err != nil {
		t.Fatal(err)
	}
	cfg := stream.CachedInfo().Config
	cfg.Sealed = true
	if _, err := js.UpdateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	holdsIn(t, s, "read_only", "sealed", nil, func(*running) {
		if err := js.DeleteStream(t.Context(), streams.EventStream); err != nil {
			t.Fatal(err)
		}
	})
}

func TestStreams_AMirror(t *testing.T) {
	s := natsInProcess(t, nil)
	js := api(t, connect(t, s.ClientURL()))
	for _, c := range []jetstream.StreamConfig{
		{Name: "ORIGIN", Subjects: []string{"origin"}}, {Name: streams.EventStream, Mirror: &jetstream.StreamSource{Name: "ORIGIN"}},
	} {
		if _, err := js.CreateStream(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	holdsIn(t, s, "read_only", "mirror of ORIGIN", nil, func(*running) {
		if err := js.DeleteStream(t.Context(), streams.EventStream); err != nil {
			t.Fatal(err)
		}
	})
}

// A stream that refuses what is new when it is full has no room at all here.
func TestStreams_Full(t *testing.T) {
	s := natsInProcess(t, nil)
	js := api(t, connect(t, s.ClientURL()))
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{
		Name: streams.EventStream, Subjects: []string{"ami.events.>", "other"}, MaxMsgs: 1, Discard: jetstream.DiscardNew,
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := js.Publish(t.Context(), "other", nil); err != nil {
		t.Fatal(err)
	}
	holdsIn(t, s, "full", "at its limit", verify, func(r *running) {
		r.update(func(c *jetstream.StreamConfig) {
			c.MaxMsgs, c.Discard, c.MaxAge, c.MaxBytes = -1, jetstream.DiscardOld, r.cfg.Stream.MaxAge, int64(r.cfg.Stream.MaxBytes)
			c.Compression, c.AllowDirect, c.AllowBatchPublish = jetstream.S2Compression, true, true
		})
	})
}
