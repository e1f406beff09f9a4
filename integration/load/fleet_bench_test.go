//go:build linux

package load

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
)

// simProcess is a simulated Asterisk in a process of its own, so that what is
// measured here is the bridge's.
func simProcess(b *testing.B) (addr string, drop func()) {
	b.Helper()
	p, addr := play(b, "asterisk")
	return addr, func() { p.ask("kick") }
}

// usage is what this process uses.
type usage struct {
	memory, goroutines float64
	cpu                time.Duration
}

func used(b *testing.B) usage {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		b.Fatal(err)
	}
	return usage{
		memory: float64(m.HeapAlloc + m.StackInuse), goroutines: float64(runtime.NumGoroutine()),
		cpu: time.Duration(r.Utime.Nano() + r.Stime.Nano()),
	}
}

// BenchmarkFleet is 500 idle servers of two sessions each: what each costs, and
// how they come back when all drop at once.
func BenchmarkFleet(b *testing.B) {
	const servers, idle = 500, 5 * time.Second
	addr, drop := simProcess(b)
	url := harness.NATS(b)
	for b.Loop() {
		before := used(b)
		var list []config.ServerConfig
		for i := range servers {
			list = append(list, config.DefaultServerConfig())
			s := &list[i]
			s.Name, s.Addr, s.Username, s.Secret = fmt.Sprintf("pbx%d", i), addr, "bridge", "s3cret"
		}
		r := harness.Bridge(b, url, func(c *config.Config) { c.ConnectRate = 500 }, list...)
		ready := used(b)
		b.ReportMetric((ready.memory-before.memory)/servers/1024, "KiB/server")
		b.ReportMetric((ready.goroutines-before.goroutines)/servers, "goroutines/server")
		<-time.After(idle)
		b.ReportMetric(float64((used(b).cpu-ready.cpu).Microseconds())/servers/idle.Seconds(), "us-cpu/server/s")
		if err := r.Stop(); err != nil {
			b.Error(err)
		}
		r = harness.Bridge(b, url, func(c *config.Config) { c.ConnectRate = 100 }, list...)
		took, worst := comeBack(r, 2*servers, drop)
		b.ReportMetric(took.Seconds(), "s-to-come-back")
		b.ReportMetric(float64(worst), "logins-in-the-worst-second")
		// A figure and no verdict: that no more than 100 log in within a second is
		// shown in virtual time (amiconn). Here a machine that stands still has them
		// come together.
		if err := r.Stop(); err != nil {
			b.Error(err)
		}
	}
}

// comeBack drops every session and waits until as many are up again.
func comeBack(r *harness.Running, sessions int, drop func()) (took time.Duration, worst int) {
	states := r.Subscribe("ami.status.*.connection")
	began := time.Now()
	drop()
	var ups []time.Time
	for len(ups) < sessions {
		var c struct{ To, At string }
		if err := json.Unmarshal(r.Next(states).Data, &c); err != nil {
			r.T.Fatal(err)
		}
		if c.To != "up" {
			continue
		}
		at, err := time.Parse(time.RFC3339, c.At)
		if err != nil {
			r.T.Fatal(err)
		}
		ups = append(ups, at)
	}
	slices.SortFunc(ups, time.Time.Compare)
	for i, j := 0, 0; j < len(ups); j++ {
		for ups[j].Sub(ups[i]) >= time.Second {
			i++
		}
		worst = max(worst, j-i+1)
	}
	return time.Since(began), worst
}

// BenchmarkQuiet is the latency of a quiet server's events alone and beside a
// flood, as a ratio of one run.
func BenchmarkQuiet(b *testing.B) {
	flood, floodAddr := harness.Sim(b, amisim.Config{NotBooted: true})
	quiet, quietAddr := harness.Sim(b, amisim.Config{NotBooted: true})
	// What the flood leaves in the outbox is stored at the end.
	r := harness.Bridge(b, harness.NATS(b), func(c *config.Config) { c.ShutdownTimeout = 5 * time.Minute },
		harness.ChaosServer("flood", floodAddr), harness.ChaosServer("quiet", quietAddr))
	events := r.Subscribe("ami.events.quiet.>")
	for b.Loop() {
		alone50, alone99 := latencyOf(r, quiet, events)
		ctx, stop := context.WithCancel(b.Context())
		var group sync.WaitGroup
		group.Go(func() { _ = flood.Flood(ctx, 1<<40, amisim.Traffic{Seed: 3}) })
		beside50, beside99 := latencyOf(r, quiet, events)
		stop()
		group.Wait()
		b.Logf("alone p50 %v p99 %v, beside a flood p50 %v p99 %v", alone50, alone99, beside50, beside99)
		b.ReportMetric(float64(beside50)/float64(alone50), "p50-ratio")
		b.ReportMetric(float64(beside99)/float64(alone99), "p99-ratio")
	}
}

// latencyOf is from an event's write to its receipt, one after the other.
func latencyOf(r *harness.Running, sim *amisim.Server, events *nats.Subscription) (p50, p99 time.Duration) {
	const n = 1000
	all := make([]time.Duration, n)
	for i := range all {
		began := time.Now()
		sim.Emit("Event", "Tick")
		r.Next(events)
		all[i] = time.Since(began)
	}
	slices.Sort(all)
	return all[n/2], all[n*99/100]
}
