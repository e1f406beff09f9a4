//go:build unix

package leaf

import (
	"fmt"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// linked is a hub and a leaf of one account, each a nats-server with JetStream in a domain of its own.
func linked(t *testing.T) (hub, leaf string) {
	t.Helper()
	port := harness.Port(t)
	start := func(domain, leafnodes string) string {
		return harness.NATSOf(t, fmt.Sprintf("listen: \"127.0.0.1:%d\"\nserver_name: %s\njetstream { store_dir: %q, domain: %[2]s }\nleafnodes { %[4]s }",
			harness.Port(t), domain, t.TempDir(), leafnodes)).ClientURL()
	}
	hub = start("hub", fmt.Sprintf("listen: \"127.0.0.1:%d\"", port))
	return hub, start("leaf", fmt.Sprintf("remotes: [ { url: \"nats://127.0.0.1:%d\" } ]", port))
}

// A stream of events on both sides of a leaf node takes each event twice, and the first to answer is believed: it is
// told of, by a bridge on either side.
func TestLeaf_AStreamOnBothSidesIsToldOf(t *testing.T) {
	t.Parallel()
	for _, batched := range []bool{true, false} {
		for _, at := range []string{"hub", "leaf"} {
			t.Run(fmt.Sprint(at, batched), func(t *testing.T) {
				t.Parallel()
				hub, leaf := linked(t)
				here, there, other := hub, leaf, "leaf"
				if at == "leaf" {
					here, there, other = leaf, hub, "hub"
				}
				both := jetstream.StreamConfig{Name: streams.EventStream, Subjects: []string{"ami.events.>"}, AllowDirect: true, AllowBatchPublish: batched}
				for _, url := range []string{here, there} {
					if _, err := harness.JetStream(t, harness.Client(t, url)).CreateStream(t.Context(), both); err != nil {
						t.Fatal(err)
					}
				}
				sim, addr := harness.Sim(t, amisim.Config{NotBooted: true})
				r := harness.Bridge(t, here, func(c *config.Config) {
					harness.ChaosConfig(c)
					c.Streams, c.State, c.Audit = config.StreamsVerify, false, config.AuditOff
				}, harness.ChaosServer("pbx1", addr))
				harness.Eventually(t, "it is told of", func() bool {
					for range 100 { // in fast ingest only the end of a batch names the domain
						sim.Emit("Event", "Tick")
					}
					for _, d := range r.Stands(streams.EventStream, "differs").Differences {
						if d.Field == "subjects" && strings.Contains(d.Left, fmt.Sprintf("of the JetStream domain %q, has them too", other)) {
							return true
						}
					}
					return false
				})
			})
		}
	}
}

// A bridge at a leaf node that has no JetStream, and does not ask its hub's, says what to change; with that it shares
// servers with one at the hub.
func TestLeaf_AskingNoJetStreamIsToldOf(t *testing.T) {
	t.Parallel()
	port := harness.Port(t)
	harness.NATSOf(t, fmt.Sprintf("listen: \"127.0.0.1:%d\"\njetstream { store_dir: %q, domain: hub }\nleafnodes { listen: \"127.0.0.1:%d\" }",
		harness.Port(t), t.TempDir(), port))
	for domain, want := range map[string]string{"": "no JetStream answers (where it is at a hub, give this leaf node its default_js_domain)", "default_js_domain: { $G: hub }": ""} {
		leaf := harness.NATSOf(t, fmt.Sprintf("listen: \"127.0.0.1:%d\"\nleafnodes { remotes: [ { url: \"nats://127.0.0.1:%d\" } ] }\n%s", harness.Port(t), port, domain))
		natstest.Within(t, "they are linked", func() bool { return leaf.NumLeafNodes() == 1 })
		_, addr := harness.Sim(t, amisim.Config{NotBooted: true})
		cfg := config.DefaultConfig()
		harness.ChaosConfig(&cfg)
		cfg.Node, cfg.HTTPAddr, cfg.NATS.URL, cfg.HA = "b1", harness.Addr(t), leaf.ClientURL(), true
		cfg.Servers = []config.ServerConfig{harness.ChaosServer("pbx1", addr)}
		r := harness.Run(t, zap.NewNop(), cfg)
		harness.Eventually(t, "it leads, or says why it does not", func() bool {
			_, body := r.Get("/readyz")
			return want == "" && strings.Contains(body, `"pbx1":"ok"`) || want != "" && strings.Contains(body, want)
		})
		if err := r.Stop(); err != nil {
			t.Error(err)
		}
	}
}
