//go:build unix

package ha

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/standby"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/longtest"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// told is a bridge in this process, and what it tells of itself.
type told struct {
	*harness.Running
	lines *observer.ObservedLogs
}

// tell starts a bridge with HA at url.
func tell(t *testing.T, url, addr string, change func(*config.Config)) *told {
	t.Helper()
	cfg := config.DefaultConfig()
	s := harness.ChaosServer(server, addr)
	s.PingInterval = time.Second
	cfg.Node, cfg.HTTPAddr, cfg.NATS.URL, cfg.Servers = "b1", harness.Addr(t), url, []config.ServerConfig{s}
	cfg.HA, cfg.StatusInterval, cfg.HASilence = true, 100*time.Millisecond, 500*time.Millisecond
	if change != nil {
		change(&cfg)
	}
	core, lines := observer.New(zapcore.InfoLevel)
	return &told{harness.Run(t, zap.New(core), cfg), lines}
}

// held has the Asterisk raise an event that the one session there is gets.
func held(t *testing.T, sim *amisim.Server) {
	t.Helper()
	if err := sim.WaitEventSessions(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	sim.Emit("Event", "Held")
}

// says waits until /readyz has a reason with text, answers 503, and the log has the same.
func (b *told) says(text string) {
	b.T.Helper()
	harness.Eventually(b.T, "the reason "+text, func() bool {
		code, body := b.Get("/readyz")
		var ready struct{ Reasons []string }
		if err := json.Unmarshal([]byte(body), &ready); err != nil {
			b.T.Fatal(err)
		}
		return code == http.StatusServiceUnavailable && slices.ContainsFunc(ready.Reasons, func(r string) bool {
			return strings.HasPrefix(r, "this bridge leads nothing more: ") && strings.Contains(r, text)
		})
	})
	all := b.lines.FilterMessage("this bridge leads nothing more").All()
	if len(all) != 1 || !strings.Contains(all[0].ContextMap()["error"].(string), text) {
		b.T.Errorf("the log says %v, want one line with %q", all, text)
	}
	// For longer than a silence, and the pause of one that is not in sync.
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for range 30 {
		if <-ticker.C; b.leads() > 0 {
			b.T.Fatal("it leads")
		}
	}
}

func (b *told) leads() int { return b.lines.FilterMessage("leads").Len() }

// recovers waits until it leads, and is ready.
func (b *told) recovers() {
	b.T.Helper()
	harness.Eventually(b.T, "it leads", func() bool {
		code, _ := b.Get("/readyz")
		return b.leads() > 0 && code == http.StatusOK
	})
	if n := b.lines.FilterMessage("this bridge can lead again").Len(); n != 1 {
		b.T.Errorf("the log says %d times that it can lead again", n)
	}
}

// A nats-server that has no fast ingest is said, and no event goes there, for there would be
// nothing to keep a bridge out that does not lead.
func TestHindered_AnOldNATS(t *testing.T) {
	t.Parallel()
	n := harness.StartOldNATS(t, "2.12.0")
	sim, addr := harness.Sim(t, amisim.Config{NotBooted: true})
	b := tell(t, n.URL, addr, func(c *config.Config) { c.State = false })
	held(t, sim)
	b.says("nats-server 2.12.0 has no fast ingest: BRIDGE_HA=on wants 2.14 or later")
	harness.Eventually(t, "the event waits", func() bool { return b.Metric("outbox_events") == 1 })
	stream, err := harness.JetStream(t, harness.Client(t, n.URL)).Stream(t.Context(), streams.EventStream)
	if err != nil {
		t.Fatal(err)
	}
	if info := stream.CachedInfo(); info.State.Msgs > 0 {
		t.Errorf("it has stored %d messages", info.State.Msgs)
	}
}

// A stream that cannot say who leads, or take fast ingest, and that the bridge may not
// change, is said with what to do; then all goes on.
func TestHindered_AStreamThatBridgesCannotShare(t *testing.T) {
	t.Parallel()
	both := []string{"ami.events.>", "ami.terms.>"}
	for text, have := range map[string]jetstream.StreamConfig{
		"nats stream edit AMI_EVENTS --subjects=ami.events.>,ami.terms.>": {Subjects: both[:1], AllowBatchPublish: true, AllowDirect: true},
		"nats stream edit AMI_EVENTS --allow-fast":                        {Subjects: both, AllowDirect: true},
		"nats stream edit AMI_EVENTS --allow-direct":                      {Subjects: both, AllowBatchPublish: true},
	} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			url := harness.NATS(t)
			js := harness.JetStream(t, harness.Client(t, url))
			have.Name = streams.EventStream
			if _, err := js.CreateStream(t.Context(), have); err != nil {
				t.Fatal(err)
			}
			sim, addr := harness.Sim(t, amisim.Config{NotBooted: true})
			b := tell(t, url, addr, func(c *config.Config) {
				c.Streams, c.State, c.Audit, c.IdempotencyWindow = config.StreamsVerify, false, config.AuditOff, 0
			})
			held(t, sim)
			b.says(text)
			have.Subjects, have.AllowBatchPublish, have.AllowDirect = both, true, true
			if _, err := js.UpdateStream(t.Context(), have); err != nil {
				t.Fatal(err)
			}
			b.recovers()
			harness.Eventually(t, "the event is stored", func() bool { return b.Metric("events_published_total") == 1 })
		})
	}
}

// A bridge that may not say that it is there, or who leads, or hear others, leads nothing:
// it would take the lead again and again from one that it does not hear. Nor does one that may not
// read what is stored: it would take the lead and do nothing with it.
func TestHindered_WithoutTheRights(t *testing.T) {
	t.Parallel()
	for text, denied := range map[string]natsserver.Permissions{
		"publish to ami.ha.b1":                     {Publish: harness.Denied("ami.ha.>")},
		"publish to ami.terms.pbx1":                {Publish: harness.Denied("ami.terms.>")},
		"publish to $JS.API.DIRECT.GET.AMI_EVENTS": {Publish: harness.Denied("$JS.API.DIRECT.GET.AMI_EVENTS")},
		"subscribe to ami.ha.*":                    {Subscribe: harness.Denied("ami.ha.>")},
	} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			s := natstest.Serve(t, func(o *natsserver.Options) {
				o.NoAuthUser = "admin"
				o.Users = []*natsserver.User{{Username: "admin", Password: "a"}, {Username: "bridge", Password: "b", Permissions: &denied}}
			})
			_, addr := harness.Sim(t, amisim.Config{NotBooted: true})
			tell(t, s.ClientURL(), addr, harness.AsBridge).says("NATS does not let the bridge " + text)
		})
	}
}

// A bridge that may say again that it is there hears itself do so, and leads at once: it need not
// wait until NATS's word of before is old.
func TestHindered_TheRightsComeBack(t *testing.T) {
	longtest.Mark(t, "a bridge is kept from leading for three seconds, and leads behind a silence")
	t.Parallel()
	n := harness.Cluster(t, 1, rights("b1", `"ami.ha.>"`))[0]
	_, addr := harness.Sim(t, amisim.Config{NotBooted: true})
	b := tell(t, n.URL, addr, func(c *config.Config) { c.NATS.User, c.NATS.Password = "b1", "b1" })
	b.says("NATS does not let the bridge publish to ami.ha.b1")
	n.Configure(rights(""))
	began := time.Now()
	b.recovers()
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("it leads %v after the rights are back", took)
	}
}

// A second bridge of a name stands aside, and says so; the first one goes on. When that is
// gone the second takes its place, without a hole.
func TestHindered_TwoOfOneName(t *testing.T) {
	t.Parallel()
	url := harness.NATS(t)
	sim, addr := harness.Sim(t, amisim.Config{NotBooted: true})
	nc := harness.Client(t, url)
	first := tell(t, url, addr, nil)
	harness.Eventually(t, "the first leads", func() bool { return first.leads() == 1 })
	heard := map[string]bool{}
	if _, err := nc.Subscribe("ami.ha.b1", func(m *nats.Msg) {
		if h, err := standby.DecodeHeartbeat(m.Data); err == nil {
			heard[h.Incarnation] = true
		}
	}); err != nil {
		t.Fatal(err)
	}
	second := tell(t, url, addr, nil)
	second.says("another bridge is called b1 and was there before: give each its own BRIDGE_NODE")
	words, err := nc.SubscribeSync("ami.nodes.b1")
	if err != nil {
		t.Fatal(err)
	}
	for range 10 {
		m, err := words.NextMsg(harness.Patience)
		if err != nil {
			t.Fatal(err)
		}
		var said struct{ HA struct{ Leads int } }
		if err := json.Unmarshal(m.Data, &said); err != nil || said.HA.Leads != 1 {
			t.Errorf("one that does not lead says how b1 is: %v, %s", err, m.Data)
		}
	}
	sim.Emit("Event", "Held")
	harness.Eventually(t, "the first goes on", func() bool { return first.Metric("events_published_total") == 1 })
	if err := nc.Drain(); err != nil {
		t.Fatal(err)
	}
	harness.Eventually(t, "all that was said is heard", nc.IsClosed)
	if len(heard) != 1 {
		t.Errorf("%d bridges have spoken as b1: to others they are one", len(heard))
	}
	if first.leads() != 1 {
		t.Errorf("the first has led %d times", first.leads())
	}
	if err := first.Stop(); err != nil {
		t.Error(err)
	}
	second.recovers()
}
