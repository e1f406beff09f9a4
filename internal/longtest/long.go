package longtest

import "testing"

// Mark leaves a test out of go test -short, which make test calls: it waits for
// real timeouts for which no shorter limit can be set, or starts a process for each of many
// things, as why says. make race has it, and so has .ci/run.
func Mark(t testing.TB, why string) {
	t.Helper()
	if testing.Short() {
		t.Skip("NOT RUN by go test -short, make race runs it: " + why)
	}
}
