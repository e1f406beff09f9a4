package clocktest

import (
	"testing"
	"time"
	"unsafe"
)

// Set returns t as it is read from a wall clock that was set by a whole number
// of seconds: its monotonic reading stays. The first word of a time.Time with
// one holds the seconds above the thirty bits of the nanoseconds.
func Set(t *testing.T, at time.Time, by time.Duration) time.Time {
	t.Helper()
	moved := at
	*(*uint64)(unsafe.Pointer(&moved)) += uint64(by/time.Second) << 30
	if moved.Sub(at) != 0 || moved.UnixNano()-at.UnixNano() != int64(by) {
		t.Fatalf("%v is no %v set by %v", moved, at, by)
	}
	return moved
}

// Jumps are what clocks are set by; none is one.
var Jumps = []time.Duration{0, 3 * time.Hour, -3 * time.Hour, 30 * 24 * time.Hour, -30 * 24 * time.Hour}
