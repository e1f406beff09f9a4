package load

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
)

const (
	latencyRate   = 5000 // events a second
	latencyEvents = 15_000
)

// BenchmarkLatency prints how long an event takes from the server's socket to
// a NATS subscriber in this process, at 5,000 events/s, through the bridge
// with JetStream and beside it through the least that could be done: a TCP
// read and nc.Publish of the same bytes. Only the ratio means something.
func BenchmarkLatency(b *testing.B) {
	url := harness.NATS(b)
	bare := bareLatency(b, url)
	bridged := bridgeLatency(b, url)
	row := func(name string, l []time.Duration) {
		b.Logf("%-24s p50 %8v   p99 %8v", name, quantile(l, 50), quantile(l, 99))
	}
	b.Logf("%d events at %d/s", latencyEvents, latencyRate)
	row("bare TCP + nc.Publish", bare)
	row("ami-nats-bridge", bridged)
	p50 := float64(quantile(bridged, 50)) / float64(quantile(bare, 50))
	p99 := float64(quantile(bridged, 99)) / float64(quantile(bare, 99))
	b.Logf("ratio                    p50 %7.2fx   p99 %7.2fx", p50, p99)
	for b.Loop() {
		continue
	}
	b.ReportMetric(p50, "p50-ratio")
	b.ReportMetric(p99, "p99-ratio")
}

func quantile(sorted []time.Duration, percent int) time.Duration {
	return sorted[len(sorted)*percent/100].Round(time.Microsecond)
}

// event is what both ways carry; Sent is when it was written.
func event() []string {
	return []string{
		"Event", "Newexten", "Channel", "PJSIP/trunk-00000a1f", "ChannelState", "6", "ChannelStateDesc", "Up",
		"CallerIDNum", "+33123456789", "CallerIDName", "Zoë Ω", "ConnectedLineNum", "<unknown>", "Language", "en",
		"Context", "from-trunk", "Exten", "100", "Priority", "3", "Uniqueid", "1795425057.422", "Linkedid", "1795425057.422",
		"Extension", "100", "Application", "Queue", "AppData", "support,,,,60", "Sent", strconv.FormatInt(time.Now().UnixNano(), 10),
	}
}

// pace calls send at latencyRate, in the bursts that a timer's grain allows.
func pace(send func()) {
	began := time.Now()
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for sent := 0; sent < latencyEvents; {
		<-ticker.C
		for due := int(time.Since(began).Seconds() * latencyRate); sent < min(due, latencyEvents); sent++ {
			send()
		}
	}
}

// collect returns the sorted latencies of latencyEvents messages on subject.
// marker stands before the time of sending.
func collect(b *testing.B, nc *nats.Conn, subject, marker string) func() []time.Duration {
	b.Helper()
	latencies := make([]time.Duration, 0, latencyEvents)
	done := make(chan struct{})
	sub, err := nc.Subscribe(subject, func(m *nats.Msg) {
		now := time.Now().UnixNano()
		_, digits, found := bytes.Cut(m.Data, []byte(marker))
		if !found || len(digits) < 19 {
			return
		}
		sent, err := strconv.ParseInt(string(digits[:19]), 10, 64)
		if err != nil {
			b.Errorf("%v in %s", err, m.Data)
		}
		if latencies = append(latencies, time.Duration(now-sent)); len(latencies) == latencyEvents {
			close(done)
		}
	})
	if err != nil {
		b.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		b.Fatal(err)
	}
	return func() []time.Duration {
		select {
		case <-done:
		case <-time.After(30 * time.Second):
			b.Fatalf("%d of %d events came", len(latencies), latencyEvents)
		}
		if err := sub.Unsubscribe(); err != nil {
			b.Fatal(err)
		}
		slices.Sort(latencies)
		return latencies
	}
}

func bridgeLatency(b *testing.B, url string) []time.Duration {
	sim, addr := harness.Sim(b, amisim.Config{})
	r := harness.Bridge(b, url, nil, harness.Server("pbx1", addr, "bridge", "s3cret"))
	wait := collect(b, r.Client, "ami.events.pbx1.Newexten", `Sent":"`)
	pace(func() { sim.Emit(event()...) })
	return wait()
}

func bareLatency(b *testing.B, url string) []time.Duration {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer listener.Close()
	from, to := harness.Client(b, url), harness.Client(b, url)
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	defer group.Wait()
	defer cancel()
	group.Go(func() { bareBridge(b, ctx, listener.Addr().String(), from) })
	conn, err := listener.Accept()
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	wait := collect(b, to, "bare", "Sent: ")
	pace(func() {
		var frame []byte
		e := event()
		for i := 0; i < len(e); i += 2 {
			frame = fmt.Appendf(frame, "%s: %s\r\n", e[i], e[i+1])
		}
		if _, err := conn.Write(append(frame, "\r\n"...)); err != nil {
			b.Error(err)
		}
	})
	return wait()
}

// bareBridge publishes what it reads, frame by frame, and knows nothing else.
func bareBridge(b *testing.B, ctx context.Context, addr string, nc *nats.Conn) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		b.Error(err)
		return
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	r := bufio.NewReaderSize(conn, 16<<10)
	var frame []byte
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return
		}
		frame = append(frame, line...)
		if len(line) == 2 {
			if err := nc.Publish("bare", frame); err != nil {
				b.Error(err)
			}
			frame = frame[:0]
		}
	}
}
