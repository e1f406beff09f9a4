//go:build unix

package load

import (
	"context"
	"encoding/json"
	"flag"
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/longtest"
)

// soakFor is short by default, so that the soak never rots; make soak asks for
// five minutes.
var soakFor = flag.Duration("soak", 6*time.Second, "how long TestSoak runs")

// soak is a bridge under load and faults: three servers, callers, and a NATS
// that is killed now and then.
type soak struct {
	*harness.Running
	nats    *harness.NATSProcess
	sims    map[string]*amisim.Server
	asked   atomic.Int64
	replies atomic.Int64
	broken  atomic.Int64 // statuses in which the law did not hold
	seen    atomic.Int64 // statuses
}

// TestSoak wants memory and goroutines flat and the law kept under calls, a
// flood into a small outbox, kicks, garbage, stalls and a NATS that is killed;
// and at the end, in the stream, every event or the Gap in its place.
func TestSoak(t *testing.T) {
	longtest.Mark(t, "it runs for six seconds, and alone")
	s := newSoak(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	monitor := s.monitor()
	var group sync.WaitGroup
	for name, sim := range s.sims {
		group.Go(func() { _ = sim.RunTraffic(ctx, amisim.Traffic{EventsPerSecond: 300, Seed: uint64(len(name))}) })
	}
	group.Go(func() { s.flood(ctx) })
	group.Go(func() { s.faults(ctx) })
	group.Go(func() { s.callers(ctx, monitor) })
	group.Go(func() { s.comers(ctx) })
	heap, goroutines := s.sample(ctx)
	cancel()
	group.Wait()
	steady(t, "live heap bytes", heap, 8<<20)
	steady(t, "goroutines", goroutines, 20)
	s.verify()
}

func newSoak(t *testing.T) *soak {
	s := &soak{nats: harness.StartNATS(t), sims: map[string]*amisim.Server{}}
	var servers []config.ServerConfig
	for _, name := range []string{"calm", "kicked", "flood"} {
		sim, addr := harness.Sim(t, amisim.Config{})
		s.sims[name] = sim
		c := harness.ChaosServer(name, addr)
		c.MaxFrameBytes = 8 << 10
		c.ActionTimeout = 10 * time.Second // of a list that a stalled session does not answer
		if name == "flood" {
			c.OutboxBytes = 256 << 10
			harness.NoState(&c) // the calls of a flood have no end, so that ever more would be up
		}
		servers = append(servers, c)
	}
	s.Running = harness.Bridge(t, s.nats.URL, harness.ChaosConfig, servers...)
	return s
}

// monitor is a client that outlives its NATS and checks the law in every
// status.
func (s *soak) monitor() *nats.Conn {
	nc, err := nats.Connect(s.Config.NATS.URL, nats.Timeout(harness.Patience), nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond))
	if err != nil {
		s.T.Fatal(err)
	}
	s.T.Cleanup(nc.Close)
	_, err = nc.Subscribe("ami.status.*.buffers", func(m *nats.Msg) {
		var b harness.Buffers
		if json.Unmarshal(m.Data, &b) != nil || !b.Lawful() {
			s.broken.Add(1)
		}
		s.seen.Add(1)
	})
	if err != nil {
		s.T.Fatal(err)
	}
	return nc
}

// flood sends more than the outbox of its server holds, again and again.
func (s *soak) flood(ctx context.Context) {
	for seed := uint64(0); ctx.Err() == nil; seed++ {
		_ = s.sims["flood"].Flood(ctx, 5000, amisim.Traffic{Seed: seed})
		pause(ctx, 200*time.Millisecond)
	}
}

// faults does something to the kicked server, and now and then to NATS.
func (s *soak) faults(ctx context.Context) {
	rng := rand.New(rand.NewPCG(1, 2))
	sim := s.sims["kicked"]
	for n := 1; pause(ctx, 200*time.Millisecond); n++ {
		switch rng.IntN(6) {
		case 0:
			sim.Kick()
		case 1:
			sim.Abort()
		case 2:
			sim.EmitRaw([]byte("garbage of a fork\r\n\r\n"))
		case 3:
			sim.Emit("Event", "Large", "Filler", strings.Repeat("x", 10_000))
		case 4:
			sim.Next("CoreStatus", amisim.Stall)
		case 5:
			sim.Next("CoreStatus", amisim.CutAfter(20))
		}
		if n%15 == 0 { // each 3 s
			s.nats.Kill()
			s.nats.Start()
		}
	}
}

// callers asks both good and bad servers. A reply may be lost with its NATS; a
// second one may not come.
func (s *soak) callers(ctx context.Context, nc *nats.Conn) {
	inbox, answered := nc.NewInbox(), sync.Map{}
	_, err := nc.Subscribe(inbox+".*", func(m *nats.Msg) {
		s.replies.Add(1)
		if _, twice := answered.LoadOrStore(m.Subject, true); twice {
			s.T.Errorf("a second reply to one request: %s", m.Data)
		}
	})
	if err != nil {
		s.T.Error(err)
		return
	}
	for n := 0; pause(ctx, 5*time.Millisecond); n++ {
		msg := nats.NewMsg("ami.actions." + []string{"calm", "kicked", "flood"}[n%3] + ".CoreStatus")
		msg.Reply = inbox + "." + strconv.Itoa(n)
		msg.Header.Set("Ami-Timeout", "500ms")
		if nc.PublishMsg(msg) == nil {
			s.asked.Add(1)
		}
	}
}

// comers has a server come that never was, and the one before go, again and again; and at the
// end the last one. One that goes waits for NATS: no other comes before it has gone.
func (s *soak) comers(ctx context.Context) {
	reload := func(servers ...config.ServerConfig) {
		cfg := s.Config
		cfg.Servers = slices.Concat(cfg.Servers, servers)
		if _, err := s.Bridge.Reload(cfg); err != nil {
			s.T.Log(err) // NATS is away: the next one subscribes what is not
		}
	}
	for n := 1; pause(ctx, 300*time.Millisecond); {
		if len(s.By("server")) > len(s.Config.Servers)+1 {
			continue
		}
		n++
		reload(harness.ChaosServer("comer"+strconv.Itoa(n), s.Config.Servers[0].Addr))
	}
	reload()
}

// sample returns the live heap and the goroutines of some thirty moments, which
// take longer than soakFor on a busy machine if they would be fewer than nine.
func (s *soak) sample(ctx context.Context) (heap, goroutines []float64) {
	for end := time.Now().Add(*soakFor); time.Now().Before(end) || len(heap) < 9; {
		if !pause(ctx, *soakFor/30) {
			break
		}
		heap = append(heap, float64(harness.HeapNow()))
		goroutines = append(goroutines, float64(runtime.NumGoroutine()))
	}
	return heap, goroutines
}

// steady compares the median of the last third with that of the middle one: the
// first warms up. Both may differ by a tenth and some noise.
func steady(t *testing.T, what string, samples []float64, noise float64) {
	t.Helper()
	if len(samples) < 5 {
		t.Fatalf("only %d samples of %s", len(samples), what)
	}
	third := len(samples) / 3
	before, after := median(samples[third:2*third]), median(samples[2*third:])
	t.Logf("%s: %.0f, then %.0f", what, before, after)
	if after > before*1.1+noise {
		t.Errorf("%s grew from %.0f to %.0f", what, before, after)
	}
}

func median(samples []float64) float64 {
	sorted := slices.Sorted(slices.Values(samples))
	return sorted[len(sorted)/2]
}

// verify reads everything back once all is quiet.
func (s *soak) verify() {
	t := s.T.(*testing.T)
	s.Client = harness.Client(t, s.Config.NATS.URL)
	harness.Eventually(t, "every session is up", func() bool { return s.Metric("ami_session_up") == 6 })
	for _, name := range []string{"calm", "kicked"} {
		s.Drained(name, 1)
		// What the last login brought comes before this.
		last := s.Subscribe("ami.events." + name + ".Last")
		s.sims[name].Emit("Event", "Last")
		s.Next(last)
		b := s.Drained(name, uint64(s.Metric("events_received_total", "server", name)))
		got := harness.CheckStory(t, s.Story(name))
		if uint64(len(got.Events)) != b.Published || got.LostByGaps != b.Lost() {
			t.Errorf("%s: %d events in the stream, %d lost by its Gaps; the counters say %+v", name, len(got.Events), got.LostByGaps, b)
		}
		t.Logf("%s: %d events, %d sessions, %d Gaps, %d lost", name, len(got.Events), got.Sessions, len(got.Gaps), got.LostByGaps)
	}
	b := s.Drained("flood", 1)
	told := s.lostByGaps("flood")
	t.Logf("flood: %d received, %d published, dropped %v", b.Received, b.Published, b.Dropped)
	if told != b.Lost() || told == 0 {
		t.Errorf("flood: the Gaps tell of %d events, dropped %v", told, b.Dropped)
	}
	harness.Eventually(t, "no action is pending", func() bool { return s.Metric("actions_pending") == 0 })
	t.Logf("%d requests, %d replies, %d statuses", s.asked.Load(), s.replies.Load(), s.seen.Load())
	if s.broken.Load() > 0 || s.seen.Load() == 0 || s.replies.Load() == 0 {
		t.Errorf("the law was broken in %d of %d statuses; %d replies", s.broken.Load(), s.seen.Load(), s.replies.Load())
	}
}

// lostByGaps sums what the Gap events of a server tell.
func (s *soak) lostByGaps(server string) (lost uint64) {
	js := harness.JetStream(s.T, s.Client)
	subject := "ami.events." + server + ".Gap"
	consumer, err := js.OrderedConsumer(s.T.Context(), streams.EventStream, jetstream.OrderedConsumerConfig{FilterSubjects: []string{subject}})
	if err != nil {
		s.T.Fatal(err)
	}
	for left := consumer.CachedInfo().NumPending; left > 0; left-- {
		msg, err := consumer.Next()
		if err != nil {
			s.T.Fatal(err)
		}
		var g struct {
			Lost uint64 `json:",string"`
		}
		if json.Unmarshal(msg.Data(), &g) == nil { // of a lost session it is unknown
			lost += g.Lost
		}
	}
	return lost
}

// pause reports whether d passed before ctx ended.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
