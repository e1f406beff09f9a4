//go:build linux

package load

import (
	"os"
	"testing"

	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
)

func TestMain(m *testing.M) {
	if role := os.Getenv(roleEnv); role != "" {
		os.Exit(perform(role))
	}
	harness.Main(m)
}
