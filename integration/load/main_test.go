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
	if url := os.Getenv(plainEnv); url != "" {
		os.Exit(consumePlainly(url))
	}
	harness.Main(m)
}
