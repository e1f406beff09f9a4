package state

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/natsconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
)

// BenchmarkWriter fills a bucket with 200 channels of each of 1,000 servers, through a
// real nats-server on disk, and has one watcher read one server and then all.
func BenchmarkWriter(b *testing.B) {
	const servers, channels = 1000, 200
	srv, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: b.TempDir(), NoSigs: true, NoLog: true})
	if err != nil {
		b.Fatal(err)
	}
	srv.Start()
	defer func() { srv.Shutdown(); srv.WaitForShutdown() }()
	if !srv.ReadyForConnections(time.Minute) {
		b.Fatal("nats-server is not ready")
	}
	cfg := config.DefaultConfig()
	cfg.Node, cfg.NATS.URL = "b1", srv.ClientURL()
	conn := natsconn.New(natsconn.Options{Name: "bench", Config: &cfg, Login: natsconn.NewLogin(cfg.NATS, nil, nil), Log: zap.NewNop()})
	if err := conn.Open(); err != nil {
		b.Fatal(err)
	}
	defer func() { conn.Get().Close() }()
	for !conn.Up() || conn.Connected() == 0 {
		runtime.Gosched()
	}
	kv, err := conn.Get().JS.CreateKeyValue(b.Context(), jetstream.KeyValueConfig{Bucket: streams.StateBucket, LimitMarkerTTL: time.Minute})
	if err != nil {
		b.Fatal(err)
	}
	for range b.N {
		fill(b, &cfg, conn, servers, channels)
	}
	for name, filter := range map[string]string{"one-server-ms": "pbx7.>", "all-ms": ">"} {
		began := time.Now()
		watch, err := kv.Watch(b.Context(), filter)
		if err != nil {
			b.Fatal(err)
		}
		for e := range watch.Updates() {
			if e == nil {
				break
			}
		}
		b.ReportMetric(float64(time.Since(began).Microseconds())/1000, name)
		_ = watch.Stop() // the connection ends
	}
}

func fill(b *testing.B, cfg *config.Config, conn *natsconn.Conn, servers, channels int) {
	b.Helper()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	s := New(Options{
		Config: cfg, Conn: conn, Changed: func() {}, Log: zap.NewNop(), Stream: func() (streams.State, error) { return streams.OK, nil },
	})
	s.Seen(streams.OK)
	f := &frames.Frame{}
	for i := range servers {
		own := config.DefaultServerConfig()
		own.Name = fmt.Sprintf("pbx%d", i)
		one := s.Add(&own)
		one.holder.until.Store(int64(time.Hour))
		one.OnSession(amiconn.Change{Role: amiconn.RoleEvents, To: amiconn.StateUp, At: time.Now(), Session: "s1"})
		for n := range channels {
			f.Headers = f.Headers[:0]
			for _, h := range [][2]string{
				{"Event", "Newchannel"}, {"Channel", fmt.Sprintf("PJSIP/trunk-%08x", n)}, {"ChannelState", "6"}, {"ChannelStateDesc", "Up"},
				{"CallerIDNum", "03012345678"}, {"CallerIDName", "Somebody"}, {"ConnectedLineNum", "100"}, {"ConnectedLineName", "Alice"},
				{"AccountCode", ""}, {"Context", "from-trunk"}, {"Exten", "100"}, {"Uniqueid", fmt.Sprintf("1795910672.%d", n)}, {"Linkedid", "1795910672.1"},
			} {
				f.Headers = append(f.Headers, frames.Header{Key: []byte(h[0]), Value: []byte(h[1])})
			}
			one.OnEvent(amiconn.Event{At: time.Now(), Frame: f})
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(servers*channels), "heap-B/key")
	ctx, cancel := context.WithCancel(b.Context())
	var group sync.WaitGroup
	began := time.Now()
	group.Go(func() { s.writer.run(ctx, s.servers) })
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for stored := 0; stored < servers*channels; <-ticker.C {
		stored = 0
		for _, one := range s.servers {
			c := one.Counts()
			stored += int(c.Writes)
			if c.WritesRefused > 0 {
				b.Fatalf("%d writes were refused", c.WritesRefused)
			}
		}
	}
	b.ReportMetric(float64(servers*channels)/time.Since(began).Seconds(), "keys/s")
	cancel()
	group.Wait()
}
