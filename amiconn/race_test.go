//go:build race

package amiconn

import (
	"runtime"
	"testing"
)

// TestMain runs the tests on one processor. Two that fire timers of one synctest
// bubble at once share what the race detector knows of that bubble's timers, and
// crash it (golang/go#78156, Go 1.26). A race between two goroutines is found
// on one processor too.
func TestMain(m *testing.M) {
	runtime.GOMAXPROCS(1)
	m.Run()
}
