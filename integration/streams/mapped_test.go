package streams

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
)

// mapped is a bridge on a nats-server that maps the events of pbx1 to another subject.
func mapped(t *testing.T, to string) (*amisim.Server, *harness.Running, *observer.ObservedLogs) {
	t.Helper()
	s := harness.NATSOf(t, fmt.Sprintf("listen: \"127.0.0.1:%d\"\njetstream { store_dir: %q }\nmappings { \"ami.events.pbx1.>\": %q }", harness.Port(t), t.TempDir(), to))
	sim, addr := harness.Sim(t, amisim.Config{NotBooted: true})
	core, logs := observer.New(zapcore.ErrorLevel)
	r := harness.BridgeLogging(t, zap.New(core), s.ClientURL(), func(c *config.Config) {
		harness.ChaosConfig(c)
		c.BesideEvery, c.HTTPAddr = 100*time.Millisecond, harness.Addr(t)
	}, harness.ChaosServer("pbx1", addr))
	return sim, r, logs
}

// No question to NATS shows what is mapped. What becomes of the events does: they are stored under subjects where nobody
// looks for them.
func TestStreams_MappedWithinTheStream(t *testing.T) {
	sim, r, logs := mapped(t, "ami.events.site1.pbx1.>")
	harness.Eventually(t, "it is told", func() bool {
		sim.Emit("Event", "Tick")
		return logs.FilterMessage("events are stored under other subjects").Len() == 1
	})
	if _, body := r.Get("/readyz"); !strings.Contains(body, "the account maps subjects") {
		t.Errorf("/readyz says %s", body)
	}
}

// Where no stream takes them, the stream is not well between two tries.
func TestStreams_MappedOutOfTheStream(t *testing.T) {
	sim, r, _ := mapped(t, "old.pbx1.>")
	sim.Emit("Event", "Tick")
	harness.Eventually(t, "it is told", func() bool {
		return strings.Contains(r.Stands(streams.EventStream, "missing").Error, "does the account map subjects")
	})
	for range 10 {
		r.Stands(streams.EventStream, "missing")
	}
	js := harness.JetStream(t, r.Client)
	stream, err := js.Stream(t.Context(), streams.EventStream)
	if err != nil {
		t.Fatal(err)
	}
	cfg := stream.CachedInfo().Config
	cfg.Subjects = append(cfg.Subjects, "old.>")
	if _, err := js.UpdateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	r.Stands(streams.EventStream, "ok")
	r.Drained("pbx1", 1)
}

// Terms that are stored under other subjects are found by no bridge, so that none can lead for long: it is said why.
func TestStreams_TermsMappedWithinTheStream(t *testing.T) {
	t.Parallel()
	s := harness.NATSOf(t, fmt.Sprintf("listen: \"127.0.0.1:%d\"\njetstream { store_dir: %q }\nmappings { \"ami.terms.>\": \"ami.terms.site1.>\" }", harness.Port(t), t.TempDir()))
	sim, addr := harness.Sim(t, amisim.Config{NotBooted: true})
	cfg := config.DefaultConfig()
	harness.ChaosConfig(&cfg)
	cfg.Node, cfg.HTTPAddr, cfg.NATS.URL, cfg.HA = "b1", harness.Addr(t), s.ClientURL(), true
	cfg.Servers = []config.ServerConfig{harness.ChaosServer("pbx1", addr)}
	r := harness.Run(t, zap.NewNop(), cfg)
	harness.Eventually(t, "it is told", func() bool {
		sim.Emit("Event", "Tick")
		_, body := r.Get("/readyz")
		return strings.Contains(body, "none is under ami.terms.pbx1: the account maps subjects (mappings)")
	})
	s.GlobalAccount().RemoveMapping("ami.terms.>")
	harness.Eventually(t, "it leads", func() bool {
		_, body := r.Get("/readyz")
		return strings.Contains(body, `"reasons":[]`) && strings.Contains(body, `"pbx1":"ok"`)
	})
}
