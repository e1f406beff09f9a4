package sessions

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// goroutinesOf counts the goroutines that are in a function of one of the types now.
func goroutinesOf(types ...string) (n int) {
	text := make([]byte, 16<<20)
	for one := range strings.SplitSeq(string(text[:runtime.Stack(text, true)]), "\n\n") {
		for _, t := range types {
			if strings.Contains(one, t) {
				n++
				break
			}
		}
	}
	return n
}

// A server that says nothing has a reader for each of its sessions, and nothing else of it
// waits: a thousand of them are most of a bridge's stacks.
func TestIdle_AServerHasTwoGoroutines(t *testing.T) {
	const servers = 20
	_, addr := harness.Sim(t, amisim.Config{})
	var list []config.ServerConfig
	for i := range servers {
		list = append(list, harness.Server(fmt.Sprint("pbx", i), addr, "bridge", "s3cret"))
	}
	harness.Bridge(t, harness.NATS(t), func(c *config.Config) { c.ConnectRate = 500 }, list...)
	natstest.Within(t, "each has two", func() bool {
		return goroutinesOf("/amiconn.(*Link)", "/amiconn.(*Session)", "/state.(*Server)") == 2*servers
	})
}
