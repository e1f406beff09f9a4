//go:build unix

package harness

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// InstallNATS returns the program of a release, which is built once and kept in
// the cache of the user. It comes through the Go module proxy; without that the
// test is not run, and says so.
func InstallNATS(t testing.TB, release string) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(cache, "ami-nats-bridge", "nats-server-"+release)
	program := filepath.Join(dir, "nats-server")
	if _, err := os.Stat(program); err == nil {
		return program
	}
	install := exec.Command("go", "install", "github.com/nats-io/nats-server/v2@v"+release)
	install.Env = append(os.Environ(), "GOBIN="+dir, "GOFLAGS=")
	if out, err := install.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "!!! %s is NOT RUN: nats-server %s cannot be built: %v\n%s\n", t.Name(), release, err, out)
		t.Skipf("NOT RUN: nats-server %s cannot be built", release)
	}
	return program
}
