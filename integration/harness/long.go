package harness

import "testing"

// Long leaves a test out of go test -short, which make test calls: it waits for
// real timeouts for which no shorter limit can be set, as why says. make race has
// it, and so has .ci/run.
func Long(t testing.TB, why string) {
	t.Helper()
	if testing.Short() {
		t.Skip("NOT RUN by go test -short, make race runs it: " + why)
	}
}
