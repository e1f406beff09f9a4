package state

import (
	"bytes"
	"context"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/natsconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// BenchmarkWriter fills a bucket with 200 channels of each of 1,000 servers, through a
// real nats-server on disk, and has one watcher read one server and then all.
func BenchmarkWriter(b *testing.B) {
	const servers, channels = 1000, 200
	srv := natstest.Serve(b, nil)
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
	info, err := kv.Status(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(info.Bytes())/float64(info.Values()), "stored-B/key")
	one, all := watched(b, kv, "pbx7.>", channels), watched(b, kv, ">", servers*channels)
	b.ReportMetric(one.Seconds()*1000, "ms-to-watch-one")
	b.ReportMetric(all.Seconds()*1000, "ms-to-watch-all")
	b.ReportMetric(one.Seconds()/all.Seconds(), "watch-one/all")
}

// watched returns how long it takes until a watcher has seen all want keys of filter.
func watched(b *testing.B, kv jetstream.KeyValue, filter string, want int) time.Duration {
	b.Helper()
	began := time.Now()
	watch, err := kv.Watch(b.Context(), filter)
	if err != nil {
		b.Fatal(err)
	}
	n := 0
	for e := range watch.Updates() {
		if e == nil {
			break
		}
		n++
	}
	took := time.Since(began)
	_ = watch.Stop() // the connection ends
	if n != want {
		b.Fatalf("%d keys of %s, want %d", n, filter, want)
	}
	return took
}

// bare returns how many of the same keys a second nats.go itself stores in a bucket of
// its own, with as many on their way.
func bare(b *testing.B, conn *natsconn.Conn, all func(func(string, []byte) bool)) float64 {
	b.Helper()
	js, err := jetstream.New(conn.Get().Conn, jetstream.WithPublishAsyncMaxPending(window))
	if err != nil {
		b.Fatal(err)
	}
	if _, err := js.CreateKeyValue(b.Context(), jetstream.KeyValueConfig{Bucket: "BARE", LimitMarkerTTL: time.Minute}); err != nil {
		b.Fatal(err)
	}
	began, n := time.Now(), 0
	for key, value := range all {
		if _, err := js.PublishAsync("$KV.BARE."+key, bytes.Clone(value)); err != nil {
			b.Fatal(err)
		}
		n++
	}
	<-js.PublishAsyncComplete()
	took := time.Since(began)
	if err := js.DeleteKeyValue(b.Context(), "BARE"); err != nil {
		b.Fatal(err)
	}
	return float64(n) / took.Seconds()
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
		one := beginHeld(s, i)
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
	group.Go(func() { s.writer.run(ctx, s.servers.all) })
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for stored := 0; stored < servers*channels; <-ticker.C {
		stored = 0
		for _, one := range s.servers.all() {
			c := one.Counts()
			stored += int(c.Writes)
			if c.WritesRefused > 0 {
				b.Fatalf("%d writes were refused", c.WritesRefused)
			}
		}
	}
	rate := float64(servers*channels) / time.Since(began).Seconds()
	cancel()
	group.Wait()
	b.ReportMetric(rate, "keys/s")
	b.ReportMetric(rate/bare(b, conn, s.Objects()), "keys/nats.go's")
}
