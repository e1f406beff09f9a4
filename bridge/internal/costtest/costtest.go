package costtest

import (
	"math"
	"runtime"
	"testing"
)

// Allocations is how often f allocates, on average.
func Allocations(f func()) float64 {
	least := testing.AllocsPerRun(500, f)
	for range 9 {
		least = min(least, testing.AllocsPerRun(500, f))
	}
	return least
}

// Bytes is how many bytes f allocates; under the race detector a part of them, see
// poolsLose.
func Bytes(f func()) int {
	least := math.MaxInt
	for range 3 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		f()
		runtime.ReadMemStats(&after)
		least = min(least, int(after.TotalAlloc-before.TotalAlloc))
	}
	return least / poolsLose
}
