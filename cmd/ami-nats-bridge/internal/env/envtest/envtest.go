package envtest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Set makes the environment hold these BRIDGE_ and NATS_ variables and no others.
func Set(t *testing.T, variables ...string) {
	t.Helper()
	for _, entry := range os.Environ() {
		if name, _, _ := strings.Cut(entry, "="); strings.HasPrefix(name, "BRIDGE_") || strings.HasPrefix(name, "NATS_") {
			t.Setenv(name, "") // so that it comes back
			os.Unsetenv(name)
		}
	}
	for _, v := range variables {
		name, value, _ := strings.Cut(v, "=")
		t.Setenv(name, value)
	}
}

// One is a server that is right, as a base for tests of the rest.
func One(more ...string) []string {
	return append([]string{"BRIDGE_SERVERS=pbx1", "BRIDGE_SERVER_PBX1_ADDR=10.0.0.1:5038",
		"BRIDGE_SERVER_PBX1_USERNAME=bridge", "BRIDGE_SERVER_PBX1_SECRET=" + Canary}, more...)
}

// Canary stands for everything that must not be printed.
const Canary = "c4n4ry"

// File returns the name of a new file that holds content.
func File(t *testing.T, content string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}
