package state

import (
	"fmt"
	"testing"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
)

// BenchmarkList has a bridge come to an Asterisk where 5,000 channels are up, and to
// one with 500, and measures its lists and how long it is until the bucket has all.
// Asterisk and NATS run in this process too.
func BenchmarkList(b *testing.B) {
	for range b.N {
		few, _, _ := listed(b, 500)
		lists, all, heap := listed(b, 5000)
		b.ReportMetric(lists.Seconds()*1000, "ms-of-lists")
		b.ReportMetric(lists.Seconds()/few.Seconds(), "lists/of-500")
		b.ReportMetric(all.Seconds()*1000, "ms-to-bucket")
		b.ReportMetric(float64(heap)/5000, "heap-B/channel")
	}
}

// listed returns how long the lists of n channels took, how long it was from the start
// until the bucket had them, and what the heap has grown by since.
func listed(b *testing.B, n int) (lists, all time.Duration, heap uint64) {
	b.Helper()
	p := startPBX(b)
	for i := range n {
		p.begin(fmt.Sprintf("1.%d", i), true)
	}
	url := harness.NATS(b)
	before, began := harness.HeapNow(), time.Now()
	r := stated(b, "b1", url, p, nil)
	harness.Eventually(b, "all is written", func() bool { return r.Metric("state_writes_total", "result", "stored") >= float64(n) })
	all = time.Since(began)
	harness.Eventually(b, "a round has ended", func() bool { return r.Metric("state_sync_seconds") > 0 })
	lists = time.Duration(r.Metric("state_sync_seconds") * float64(time.Second))
	if after := harness.HeapNow(); after > before {
		heap = after - before
	}
	if up := r.Metric("state_objects", "kind", "channel"); up != float64(n) {
		b.Fatalf("%v of %d channels are up", up, n)
	}
	if err := r.Stop(); err != nil {
		b.Fatal(err)
	}
	return lists, all, heap
}
