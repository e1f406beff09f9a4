//go:build linux

package load

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/realasterisk"
)

var (
	// beside is another build of the bridge, which BenchmarkOneAction has take turns with
	// this one.
	beside = flag.String("beside", "", "path of another build of the bridge for BenchmarkOneAction")
	// oneActionRounds is how often each way of BenchmarkOneAction has its turn.
	oneActionRounds = flag.Int("rounds", 40, "turns of each way in BenchmarkOneAction")
)

// turnActions is how many Actions a turn has: so few that what else the machine does is
// the same for all ways of a round, and so many that their records, which wait for others, are
// stored in the turn and not in that of the next way.
const turnActions = 200

// turns is a way with what a process does for it.
type turns struct {
	way
	pid                    int
	p50s                   []time.Duration // of each round
	reads, writes, wakeups int
	cpu                    time.Duration
}

// BenchmarkOneAction prints how long an Action takes, one after the other, through bridges
// with their audit on, off and strict, through a bare responder, and with no NATS
// between; and what each process does for it. Asterisk's stand-in, nats-server, each bridge
// and the responder are processes of their own, and take turns. Only the ratios of one run
// mean something.
func BenchmarkOneAction(b *testing.B) {
	p := newPlace(b)
	asterisk, addr := play(b, "asterisk")
	responder, _ := play(b, "responder", urlEnv+"="+p.nats.URL, addrEnv+"="+addr)
	bare := &turns{way: way{name: "bare responder", ask: p.getvar("bare.Getvar")}, pid: responder.pid()}
	alone := &turns{way: way{name: "direct AMI", ask: direct(b, addr, realasterisk.User{Name: "bridge", Secret: "s3cret"}, 1)}, pid: os.Getpid()}
	all := []*turns{bare, alone}
	build := harness.BuildBridge(b)
	for _, v := range []struct{ server, name, build, audit string }{
		{"this", "bridge", build, "on"}, {"off", "bridge, no audit", build, "off"},
		{"strict", "bridge, strict audit", build, "strict"}, {"beside", "bridge, the other build", *beside, "on"},
	} {
		if v.build == "" {
			continue
		}
		bridge := p.another(v.build, v.server, addr, "BRIDGE_AUDIT="+v.audit)
		all = append(all, &turns{way: way{name: v.name, ask: p.getvar("ami.actions." + v.server + ".Getvar")}, pid: bridge.pid()})
	}
	asterisk.ask("await %d", 2*len(all)-2) // the bridges', and one each of the others
	for _, t := range all {
		harness.Eventually(b, t.name+" answers", func() bool { return t.ask() == nil })
	}
	for range *oneActionRounds {
		for _, t := range all {
			t.turn(b)
		}
	}
	b.Logf("%d cores, load %s\n%s", runtime.NumCPU(), loadNow(b), tableOf(all, bare))
	for b.Loop() {
		continue
	}
}

// another starts a bridge of one server.
func (p *place) another(build, server, addr string, more ...string) *program {
	p.b.Helper()
	path := filepath.Join(p.b.TempDir(), "settings")
	settings := append([]string{
		"BRIDGE_NATS_URL=" + p.nats.URL, "BRIDGE_HTTP_ADDR=", "BRIDGE_NODE=" + server, "BRIDGE_STREAM_MAX_BYTES=1GiB", "BRIDGE_LOG_LEVEL=error",
		"BRIDGE_SERVERS=" + server, "BRIDGE_AMI_USERNAME=bridge", "BRIDGE_AMI_SECRET=s3cret", "BRIDGE_AMI_ADDR=" + addr,
	}, more...)
	if err := os.WriteFile(path, []byte(strings.Join(settings, "\n")+"\n"), 0o600); err != nil {
		p.b.Fatal(err)
	}
	cmd := exec.Command(build, "run")
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "BRIDGE_ENV_FILE=" + path}
	cmd.Stderr = p.b.Output()
	return start(p.b, cmd)
}

// turn is one round of t, and counts what its process does.
func (t *turns) turn(b *testing.B) {
	b.Helper()
	before := len(t.took)
	cpu := cpuOf(b, t.pid)
	reads, writes, wakeups := callsOf(b, t.pid)
	for range turnActions {
		began := time.Now()
		if err := t.ask(); err != nil {
			b.Fatalf("%s: %v", t.name, err)
		}
		t.took = append(t.took, time.Since(began))
	}
	r, w, u := callsOf(b, t.pid)
	t.reads, t.writes, t.wakeups, t.cpu = t.reads+r-reads, t.writes+w-writes, t.wakeups+u-wakeups, t.cpu+cpuOf(b, t.pid)-cpu
	t.p50s = append(t.p50s, middle(t.took[before:]))
}

// tableOf has a line for each of all: its median, and that of its rounds' medians, each over
// that of bare in the same round.
func tableOf(all []*turns, bare *turns) string {
	var table []string
	for _, t := range all {
		var ratios []float64
		for i, p50 := range t.p50s {
			ratios = append(ratios, float64(p50)/float64(bare.p50s[i]))
		}
		slices.Sort(ratios)
		n := float64(len(t.took))
		table = append(table, fmt.Sprintf("%-24s p50 %8v, to the responder's %.2f (rounds %.2f to %.2f); an Action: %3.0f µs of CPU, %.2f reads, %.2f writes, %.2f wake-ups",
			t.name, middle(t.took).Round(time.Microsecond), ratios[len(ratios)/2], ratios[len(ratios)/10], ratios[len(ratios)*9/10],
			float64(t.cpu.Microseconds())/n, float64(t.reads)/n, float64(t.writes)/n, float64(t.wakeups)/n))
	}
	return strings.Join(table, "\n")
}

// loadNow is how busy the machine is (proc_loadavg(5)).
func loadNow(b *testing.B) string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		b.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}
