package load

import (
	"context"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
)

const (
	pagesOpen   = 100
	pagesRounds = 7
)

// BenchmarkPages prints how fast the events that a busy Asterisk sent are acknowledged by
// JetStream while a hundred pages are open, a third of each kind, beside while none is. They
// take turns; the ratio is that of the medians. Who reads the pages is in this process too, and its
// work counts.
func BenchmarkPages(b *testing.B) {
	benchmarkPages(b, "/live?view=servers", "/live?view=floor", "/live?view=calls")
}

// BenchmarkPagesOfEvents is the same of a hundred pages that show the server's events, a third all
// of them, a third those of some names and a third what matches an expression.
func BenchmarkPagesOfEvents(b *testing.B) {
	benchmarkPages(b, "/tap?server=pbx1", "/tap?server=pbx1&events=Queue*,Hangup", "/tap?server=pbx1&grep=Cause%3D(34|38)")
}

func benchmarkPages(b *testing.B, paths ...string) {
	b.Helper()
	sim, addr := harness.Sim(b, amisim.Config{NotBooted: true, WriteTimeout: time.Minute})
	r := harness.Bridge(b, harness.NATS(b), func(c *config.Config) { harness.ChaosConfig(c); c.HTTPAddr = harness.Addr(b) }, harness.ChaosServer("pbx1", addr))
	wire, _ := busyPayloads(b)
	published := 0.0
	burst := func() time.Duration {
		began := time.Now()
		published += ingestEvents
		sim.EmitRaw(wire)
		every := time.NewTicker(5 * time.Millisecond)
		defer every.Stop()
		for r.Metric("events_published_total") < published {
			<-every.C
		}
		return time.Since(began)
	}
	burst() // the first meets new names
	var alone, watched []time.Duration
	for range pagesRounds {
		alone = append(alone, burst())
		stop := openPages(b, "http://"+r.Config.HTTPAddr, paths)
		watched = append(watched, burst())
		stop()
	}
	if n := r.Metric("events_dropped_total"); n > 0 {
		b.Errorf("%v events were dropped", n)
	}
	b.Logf("%d events, median of %d rounds: %v with no page open, %v with %d", ingestEvents, pagesRounds, middle(alone), middle(watched), pagesOpen)
	for b.Loop() {
		continue
	}
	b.ReportMetric(middle(watched).Seconds()/middle(alone).Seconds(), "x-no-page")
}

// openPages opens pagesOpen pages, and returns when each has got its first bytes.
func openPages(b *testing.B, url string, paths []string) (stop func()) {
	b.Helper()
	ctx, cancel := context.WithCancel(b.Context())
	var group, first sync.WaitGroup
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: pagesOpen}}
	for i := range pagesOpen {
		first.Add(1)
		group.Go(func() {
			seen := sync.OnceFunc(first.Done)
			defer seen()
			request, err := http.NewRequestWithContext(ctx, http.MethodGet, url+paths[i%len(paths)], nil)
			if err != nil {
				b.Error(err)
				return
			}
			answer, err := client.Do(request)
			if err != nil {
				b.Error(err)
				return
			}
			defer answer.Body.Close()
			if answer.StatusCode != http.StatusOK {
				b.Errorf("a page is answered %s", answer.Status)
				return
			}
			buffer := make([]byte, 64<<10)
			for {
				_, err := io.ReadAtLeast(answer.Body, buffer, 1)
				if err != nil {
					return
				}
				seen()
			}
		})
	}
	first.Wait()
	return func() { cancel(); group.Wait(); client.CloseIdleConnections() }
}
