package docs

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
)

// reading is an example that runs until the test ends, and what it has said.
type reading struct {
	mu   sync.Mutex
	text string
}

// reads runs one of docs/state.md's examples.
func reads(t *testing.T, url, dir, name string, args ...string) *reading {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir, cmd.Stderr, cmd.Env = dir, t.Output(), append(os.Environ(), "NATS_URL="+url)
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	r := new(reading)
	var group sync.WaitGroup
	group.Go(func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			r.mu.Lock()
			r.text += lines.Text() + "\n"
			r.mu.Unlock()
		}
	})
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it reads for ever
		group.Wait()
		_ = cmd.Wait() // it was killed
	})
	return r
}

// wants waits until it has said text, and forgets what it has said.
func (r *reading) wants(t *testing.T, text string) {
	t.Helper()
	harness.Eventually(t, fmt.Sprintf("%q", text), func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		if !strings.Contains(r.text, text) {
			return false
		}
		r.text = ""
		return true
	})
}

// The screen pop says who rings, also who did before it began, once, and when it is over.
func TestExamples_ScreenPop(t *testing.T) {
	t.Parallel()
	p, r := harness.SimBridge(t, amisim.Config{}, nil)
	b := harness.WatchState(t, r.Client)
	b.Is("pbx1", "live", "b1")
	url := r.Config.NATS.URL
	ring := func(id, num string) {
		p.Emit("Event", "Newchannel", "Channel", "PJSIP/alice-"+id, "ChannelState", "5", "ChannelStateDesc", "Ringing", "CallerIDNum", "100",
			"ConnectedLineNum", num, "ConnectedLineName", "Zoë", "Uniqueid", id, "Linkedid", "1."+id)
	}
	ring("1", "0301")
	b.Wants("1")
	pop := reads(t, url, t.TempDir(), harness.Build(t, "./docs/examples/screenpop"), "pbx1", "PJSIP/alice")
	pop.wants(t, "PJSIP/alice rings: Zoë <0301>, call 1.1\n")
	ring("2", "0302")
	pop.wants(t, "PJSIP/alice rings: Zoë <0302>, call 1.2\n")
	p.Emit("Event", "Newstate", "Channel", "PJSIP/alice-2", "ChannelState", "6", "ChannelStateDesc", "Up", "Uniqueid", "2")
	pop.wants(t, "PJSIP/alice rings no more\n")
}

// The board shows queues with their agents and those who wait, in their order.
func TestExamples_QueueBoard(t *testing.T) {
	modules := tool(t, "javascript", "node_modules")
	if _, err := os.Stat(filepath.Join(modules, "@nats-io", "kv")); err != nil {
		t.Skipf("NOT RUN: the board's module could not be installed: %v", err)
	}
	p, r := harness.SimBridge(t, amisim.Config{}, nil)
	harness.WatchState(t, r.Client).Is("pbx1", "live", "b1")
	board := reads(t, r.Config.NATS.URL, filepath.Dir(modules), "node", "board.mjs", "pbx1")
	board.wants(t, "sales: 0 waiting\n  José Peña: free\n  李雷: free\n")
	join := func(id, place string) {
		p.Emit("Event", "Newchannel", "Channel", "PJSIP/x-"+id, "ChannelState", "6", "Uniqueid", id)
		p.Emit("Event", "QueueCallerJoin", "Privilege", "agent,all", "Channel", "PJSIP/x-"+id, "ChannelState", "6", "CallerIDNum", "030"+id,
			"Uniqueid", id, "Queue", "sales", "Position", place, "Count", place)
	}
	// The list, which is asked for once the counts differ, would end them.
	p.Always("QueueStatus", amisim.Deny("Permission denied"))
	join("1", "1")
	join("2", "2")
	board.wants(t, "sales: 2 waiting\n  1. 0301 since ")
	p.Emit("Event", "Hangup", "Channel", "PJSIP/x-1", "ChannelState", "6", "Uniqueid", "1")
	board.wants(t, "sales: 1 waiting\n  1. 0302 since ")
}
