//go:build unix

package ha

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/delivery"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }

// process is a bridge as an operator starts it: the program, and the environment alone.
// more are more variables.
func process(t *testing.T, program, name, nats, pbx string, more ...string) harness.Process {
	t.Helper()
	const own = "BRIDGE_SERVER_PBX1_"
	return harness.Process{
		T: t, Program: program, Args: []string{"run"}, Log: filepath.Join(t.TempDir(), name),
		Env: append([]string{
			"PATH=" + os.Getenv("PATH"), "BRIDGE_HA=on", "BRIDGE_NODE=" + name, "BRIDGE_NATS_URL=" + nats, "BRIDGE_HTTP_ADDR=", "BRIDGE_STATUS_INTERVAL=1s",
			"BRIDGE_NATS_USER=" + name, "BRIDGE_NATS_PASSWORD=" + name, "BRIDGE_STREAM_MAX_BYTES=4GiB", "BRIDGE_SERVERS=" + server, own + "ADDR=" + pbx, own + "USERNAME=bridge", own + "SECRET=s3cret",
			// It is kicked more often than a breaker would bear, and has time on a slow machine.
			own + "BACKOFF_MIN=20ms", own + "BACKOFF_MAX=200ms", own + "BREAKER_FAILURES=1000000", own + "READ_TIMEOUT=5m", own + "ACTION_TIMEOUT=100s",
		}, more...),
	}
}

// Two bridges that the environment alone has share an Asterisk: the one that leads is
// killed, and nothing is missing, or there twice. The other waits for longer than a busy
// machine keeps a process waiting. Between its claim and the record that bars the way, all
// batches of who led are ended: what ended one later would let in events behind the tail that
// was read.
func TestProcesses_OneIsKilled(t *testing.T) {
	t.Parallel()
	f := newFleet(t, shape{atOnce: true, more: []string{"BRIDGE_HA_SILENCE=2s"}}, "b1", "b2")
	leader, standby := f.settled()
	terms := f.endings()
	leader.away = true
	leader.Kill()
	harness.Eventually(t, "the other one leads", func() bool {
		f.emit(1)
		return f.leads(standby.name)
	})
	if ends := endsBeforeBarrier(t, terms, standby.name); ends < delivery.SharedBatches {
		t.Errorf("%d batches are ended before the barrier, want %d", ends, delivery.SharedBatches)
	}
	f.emitFor(time.Second)
	if got := f.verify(); !got.whole() {
		t.Error(got)
	}
}
