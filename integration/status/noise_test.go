package status

import (
	"net"
	"testing"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// While NATS is gone each of the two connections says so once, and why it does not
// come back once, however often it is tried.
func TestLog_NATSThatIsGoneIsToldOnce(t *testing.T) {
	t.Parallel()
	_, addr := harness.Sim(t, amisim.Config{NotBooted: true})
	core, logs := observer.New(zapcore.DebugLevel)
	dir := t.TempDir()
	srv := natstest.Serve(t, func(o *natsserver.Options) { o.StoreDir = dir })
	port := srv.Addr().(*net.TCPAddr).Port
	r := harness.BridgeLogging(t, zap.New(core), srv.ClientURL(), harness.ChaosConfig, harness.ChaosServer("pbx1", addr))
	logs.TakeAll()
	srv.Shutdown()
	tries := func() int { return logs.FilterMessage("nats not reached").Len() }
	harness.Eventually(t, "both are tried again and again", func() bool { return tries() >= 8 })
	lines := map[string]int{}
	for _, entry := range logs.All() {
		if entry.Level >= zapcore.InfoLevel {
			lines[entry.Message]++
		}
	}
	if lines["nats disconnected"] != 2 || lines["nats not reached"] != 2 {
		t.Errorf("of two connections and %d tries: %v", tries(), lines)
	}
	for line, n := range lines { // perhaps why NATS goes, or what is to be stored
		if n > 2 {
			t.Errorf("%d lines %q", n, line)
		}
	}
	srv.WaitForShutdown()
	natstest.Serve(t, func(o *natsserver.Options) { o.StoreDir, o.Port = dir, port })
	back := func() int { return logs.FilterMessage("nats connected again").Len() }
	harness.Eventually(t, "it is told that both are back", func() bool { return back() == 2 })
	if err := r.Stop(); err != nil { // before that NATS goes
		t.Error(err)
	}
}
