package harness

import (
	"fmt"
	"runtime"
	"runtime/metrics"
	"testing"
	"time"
)

// liveHeap is what the last collection found reachable.
func liveHeap() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// HeapNow collects and returns what is reachable.
func HeapNow() uint64 {
	runtime.GC()
	return liveHeap()
}

// WatchHeap returns a function that stops watching and says the most that was
// reachable at any collection in between.
func WatchHeap() func() uint64 {
	stop, peak := make(chan struct{}), make(chan uint64)
	go func() {
		ticker := time.NewTicker(10 * time.Millisecond)
		defer ticker.Stop()
		most := uint64(0)
		for {
			most = max(most, liveHeap())
			select {
			case <-ticker.C:
			case <-stop:
				peak <- most
				return
			}
		}
	}()
	return func() uint64 { close(stop); return <-peak }
}

// HeapIsBack waits until the live heap is at most limit larger than before. One
// collection may count what was allocated while it ran; a leak stays.
func HeapIsBack(t *testing.T, before, limit uint64) {
	t.Helper()
	Eventually(t, fmt.Sprintf("a live heap of %d bytes more at most", limit), func() bool { return HeapNow() <= before+limit })
}
