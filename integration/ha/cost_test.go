//go:build unix

package ha

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
)

// flooded is how many events a flood has.
const flooded = 100_000

// TestTwo_TheCostOfStandingBy prints what it costs that a bridge stands by, as ratios of one
// run: processor and memory of the two, and how fast the leader publishes alone and beside
// it. All share this machine, so that the second is the worst there is.
func TestTwo_TheCostOfStandingBy(t *testing.T) {
	if *asked != "all" && *asked != "cost" {
		t.Skip("NOT RUN: make faults-ha FAULTS=all or FAULTS=cost measures it, with nothing beside it")
	}
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		t.Skip("NOT RUN: only Linux says what a process has used: ", err)
	}
	f := newFleet(t, shape{}, "b1")
	f.flood() // the first of all is slower
	alone := f.flood()
	f.start("b2")
	f.settled()
	both := f.flood()
	leader, standby := both.cpu["b1"], both.cpu["b2"]
	fmt.Fprintf(os.Stderr, "standing by: %.2f of the leader's processor time, %.2f of its memory (%d of %d MiB at most); the leader takes %.2f of its time alone, and publishes %.2f as fast (%.0f a second)\n",
		float64(standby)/float64(leader), float64(both.peak["b2"])/float64(both.peak["b1"]), both.peak["b2"]>>20, both.peak["b1"]>>20,
		float64(leader)/float64(alone.cpu["b1"]), float64(alone.took)/float64(both.took), flooded/both.took.Seconds())
	if !f.leads("b1") {
		t.Error("b1 does not lead any more")
	}
}

// usage is what a flood took.
type usage struct {
	took time.Duration
	cpu  map[string]time.Duration // by node
	peak map[string]int64         // of resident bytes
}

// flood has the Asterisk send events as fast as they are read, until all are stored.
func (f *fleet) flood() usage {
	f.t.Helper()
	before := map[string]time.Duration{}
	for name, b := range f.bridges {
		before[name], _ = used(f.t, b.PID())
	}
	start := time.Now()
	harness.Flood(f.t, f.sim, flooded)
	harness.Eventually(f.t, "all is stored", func() bool { return f.storedEvents() == uint64(f.sim.Emitted()) })
	u := usage{time.Since(start), map[string]time.Duration{}, map[string]int64{}}
	for name, b := range f.bridges {
		cpu, peak := used(f.t, b.PID())
		u.cpu[name], u.peak[name] = cpu-before[name], peak
	}
	return u
}

func (f *fleet) storedEvents() (n uint64) {
	stream, err := harness.JetStream(f.t, f.nc).Stream(f.t.Context(), streams.EventStream)
	if err != nil {
		f.t.Fatal(err)
	}
	info, err := stream.Info(f.t.Context(), jetstream.WithSubjectFilter("ami.events."+server+".>"))
	if err != nil {
		f.t.Fatal(err)
	}
	for _, count := range info.State.Subjects {
		n += count
	}
	return n
}

// used is the processor time of a process, and the most memory that it has had.
func used(t *testing.T, pid int) (cpu time.Duration, peak int64) {
	t.Helper()
	dir := "/proc/" + strconv.Itoa(pid)
	_, fields, _ := strings.Cut(harness.ReadText(t, dir, "stat"), ") ") // the name may have blanks
	for _, field := range strings.Fields(fields)[11:13] {               // proc(5): utime, stime, in hundredths of a second
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		cpu += time.Duration(n) * 10 * time.Millisecond
	}
	_, rest, _ := strings.Cut(harness.ReadText(t, dir, "status"), "VmHWM:")
	kilobytes, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return cpu, kilobytes << 10
}
