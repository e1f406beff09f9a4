//go:build unix

package state

import (
	"testing"

	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
)

// A test here runs a nats-server in a process of its own.
func TestMain(m *testing.M) { harness.Main(m) }
