//go:build unix

package harness

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// Release is the version of the bridge's program, as BuildBridge makes it.
const Release = "v7.8.9"

// BuildBridge makes the bridge's program, as a release is made, and returns its path.
func BuildBridge(t testing.TB) string {
	t.Helper()
	return Build(t, "./cmd/ami-nats-bridge", "-ldflags", "-X main.release="+Release)
}

// Build makes the program of a package, which may be of another module that this
// one needs, and returns its path. It stays in the cache of the user, one of each
// module root and package, so that a suite links it once: go build leaves a program
// alone that is what it would make. One test builds at a time, whichever process it is in.
func Build(t testing.TB, pkg string, flags ...string) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(cache, "ami-nats-bridge", "built", Root(t), pkg)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "program")
	build := exec.CommandContext(t.Context(), "go", append(append([]string{"build"}, flags...), "-o", path, pkg)...)
	build.Dir, build.Stderr = Root(t), t.Output()
	if err := build.Run(); err != nil {
		t.Fatalf("go build %s: %v", pkg, err)
	}
	return path
}
