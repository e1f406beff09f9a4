package streams

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
)

// A subject that may hold no more, for longer than the outbox has room: what is
// lost is in the Gaps, one by one, and nothing else is; not the event that was
// refused either. Once the limit is raised the rest is stored.
func TestStreams_SubjectFullForLong(t *testing.T) {
	for _, batched := range []bool{true, false} {
		t.Run("fast ingest "+strconv.FormatBool(batched), func(t *testing.T) {
			t.Parallel()
			url := harness.NATS(t)
			js := harness.JetStream(t, harness.Client(t, url))
			cfg := jetstream.StreamConfig{
				Name: streams.EventStream, Subjects: []string{"ami.events.>"}, AllowDirect: true, AllowBatchPublish: batched,
				Discard: jetstream.DiscardNew, DiscardNewPerSubject: true, MaxMsgsPerSubject: 50,
			}
			if _, err := js.CreateStream(t.Context(), cfg); err != nil {
				t.Fatal(err)
			}
			sim, addr := harness.Sim(t, amisim.Config{NotBooted: true})
			s := harness.ChaosServer("pbx1", addr)
			s.OutboxBytes = 128 << 10
			r := harness.Bridge(t, url, func(c *config.Config) {
				harness.ChaosConfig(c)
				c.Streams, c.Audit = config.StreamsVerify, config.AuditOff
			}, s)
			sent := 0
			emit := func(n int) {
				for range n {
					sim.Emit("Event", []string{"Tick", "Tock"}[sent%2], "N", strconv.Itoa(sent), "Pad", strings.Repeat("x", 200))
					sent++
				}
			}
			emit(80)
			harness.Eventually(t, "80 events are stored", func() bool { return r.Metric("events_published_total") == 80 })
			for r.Metric("events_dropped_total", "reason", "overflow") == 0 {
				emit(500)
			}
			r.Stands(streams.EventStream, "full")
			cfg.DiscardNewPerSubject, cfg.MaxMsgsPerSubject = false, -1
			if _, err := js.UpdateStream(t.Context(), cfg); err != nil {
				t.Fatal(err)
			}
			emit(10)
			b := r.Drained("pbx1", uint64(sent))
			story := r.Story("pbx1")
			if batched { // else what is refused is overtaken (docs/delivery.md), by a Gap too
				harness.CheckStory(t, story)
			}
			events, told := map[string]bool{}, uint64(0)
			for _, e := range story {
				if lost, err := strconv.ParseUint(e.Text("Lost"), 10, 64); err == nil && e.Name == "Gap" {
					told += lost
					continue
				}
				events[e.Text("N")] = true
			}
			if n := uint64(len(events)); n != b.Published || told != b.Lost() || n+told != uint64(sent) || told == 0 {
				t.Errorf("of %d events %d are stored, %d told; %+v", sent, n, told, b)
			}
			r.Stands(streams.EventStream, "differs") // discard
		})
	}
}

// A limit of messages' sizes that somebody has set is taken away as soon as it has cost the first
// message, not at the next look at the streams: that may be 45 s later, and comes after 20 at least.
func TestStreams_ASizeSetByHandCostsLittle(t *testing.T) {
	for name, say := range map[string]func(*harness.Running, *amisim.Server){
		streams.EventStream: func(_ *harness.Running, sim *amisim.Server) {
			sim.Emit("Event", "Tick", "Pad", strings.Repeat("x", 200))
		},
		streams.AuditStream: func(r *harness.Running, _ *amisim.Server) {
			harness.Succeeds(r.T.(*testing.T), r.Call("pbx1", "CoreStatus", ""))
		},
		streams.StateStream: func(*harness.Running, *amisim.Server) {}, // its servers' keys are written again and again
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sim, addr := harness.Sim(t, amisim.Config{NotBooted: true})
			r := harness.Bridge(t, harness.NATS(t), harness.ChaosConfig, harness.ChaosServer("pbx1", addr))
			js, began := harness.JetStream(t, r.Client), time.Now()
			most := func(change func(*jetstream.StreamConfig)) int32 {
				stream, err := js.Stream(t.Context(), name)
				if err != nil {
					t.Fatal(err)
				}
				cfg := stream.CachedInfo().Config
				if change != nil {
					change(&cfg)
					if _, err := js.UpdateStream(t.Context(), cfg); err != nil {
						t.Fatal(err)
					}
				}
				return cfg.MaxMsgSize
			}
			most(func(c *jetstream.StreamConfig) { c.MaxMsgSize = 50 })
			harness.Eventually(t, "the limit is gone", func() bool { say(r, sim); return most(nil) == -1 })
			if took := time.Since(began); took > 15*time.Second {
				t.Errorf("it was gone after %v", took)
			}
		})
	}
}
