//go:build unix

package status

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
)

// What the linker is told is what the program prints.
func TestVersion_IsWhatTheLinkerIsTold(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), harness.BuildBridge(t), "--version").Output()
	if err != nil || !strings.HasPrefix(string(out), "ami-nats-bridge "+harness.Release+" ") {
		t.Errorf("%s, %v", out, err)
	}
}
