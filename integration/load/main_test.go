//go:build unix

package load

import (
	"os"
	"testing"

	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
)

func TestMain(m *testing.M) {
	if os.Getenv(simEnv) != "" {
		os.Exit(serveSim())
	}
	harness.Main(m)
}
