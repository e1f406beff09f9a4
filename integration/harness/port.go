package harness

import (
	"strconv"
	"testing"

	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// Port is natstest's.
func Port(t testing.TB) int {
	t.Helper()
	return natstest.Port(t)
}

// Addr is an address that nobody listens on, and nobody else is given.
func Addr(t testing.TB) string {
	t.Helper()
	return "127.0.0.1:" + strconv.Itoa(Port(t))
}
