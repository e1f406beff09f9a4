package load

import (
	"testing"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
)

const (
	burstRate   = 105_000 // events a second
	burstPieces = 300     // one each 10 ms
)

// BenchmarkBurst prints what a burst at the rate of a busy Asterisk leaves in the
// default outbox: more for some seconds than JetStream takes on this machine.
func BenchmarkBurst(b *testing.B) {
	sim, addr := harness.Sim(b, amisim.Config{NotBooted: true, WriteTimeout: time.Minute})
	s := harness.ChaosServer("pbx1", addr)
	s.OutboxBytes = config.DefaultServerConfig().OutboxBytes
	r := harness.Bridge(b, harness.NATS(b), harness.ChaosConfig, s)
	wire, _ := busyPayloads(b)
	const each = burstRate / 100
	pieces := piecesOf(wire, each)
	began := time.Now()
	every := time.NewTicker(10 * time.Millisecond)
	defer every.Stop()
	soonEnough := func() {
		<-every.C
		if time.Since(began) > 5*harness.Patience {
			b.Fatal("the burst never came to its end")
		}
	}
	for i := range burstPieces {
		<-every.C
		// The simulated one cuts a session that is 16 MiB behind.
		for float64(i*each)-r.Metric("events_received_total") > 20_000 {
			soonEnough()
		}
		sim.EmitRaw(pieces[i%len(pieces)])
	}
	const n = burstPieces * each
	for r.Metric("events_received_total") < n {
		soonEnough()
	}
	read := time.Since(began)
	for r.Metric("outbox_events")+r.Metric("outbox_in_flight_events") > 0 {
		soonEnough()
	}
	stored := time.Since(began)
	dropped := r.Metric("events_dropped_total")
	full := r.Metric("outbox_high_water_bytes") / float64(s.OutboxBytes)
	b.Logf("%d events read in %v (%.0f/s), acknowledged in %v: the outbox was %.0f %% full, %v were dropped",
		n, read.Round(time.Millisecond), n/read.Seconds(), stored.Round(time.Millisecond), full*100, dropped)
	for b.Loop() {
		continue
	}
	b.ReportMetric(full, "of-outbox")
	b.ReportMetric(dropped, "dropped")
}

// piecesOf cuts wire into pieces of so many messages.
func piecesOf(wire []byte, each int) (pieces [][]byte) {
	begin, n := 0, 0
	for i := range wire {
		if i < 3 || string(wire[i-3:i+1]) != "\r\n\r\n" {
			continue
		}
		if n++; n%each == 0 {
			pieces = append(pieces, wire[begin:i+1])
			begin = i + 1
		}
	}
	return pieces
}
