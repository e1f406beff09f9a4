package harness

import (
	"encoding/json"
	"time"
)

// Metric returns the sum of a metric's samples that have these labels, given as
// pairs.
func (r *Running) Metric(name string, labels ...string) (sum float64) {
	r.T.Helper()
	families, err := r.Metrics.Gather()
	if err != nil {
		r.T.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() != "ami_nats_bridge_"+name {
			continue
		}
		for _, sample := range family.GetMetric() {
			has := map[string]string{}
			for _, l := range sample.GetLabel() {
				has[l.GetName()] = l.GetValue()
			}
			match := true
			for i := 0; i < len(labels); i += 2 {
				match = match && has[labels[i]] == labels[i+1]
			}
			if match {
				sum += sample.GetCounter().GetValue() + sample.GetGauge().GetValue()
			}
		}
	}
	return sum
}

// Buffers is ami.status.<server>.buffers.
type Buffers struct {
	Received, Published, Filtered, Queued uint64

	InFlight uint64 `json:"in_flight"`
	Dropped  map[string]uint64
	Outbox   struct {
		Capacity  int64
		HighWater int64 `json:"high_water"`
	}
}

// Lost is how many events were dropped, whatever the reason.
func (b *Buffers) Lost() (n uint64) {
	for _, dropped := range b.Dropped {
		n += dropped
	}
	return n
}

// Settled waits until so many events were received and none is under way, for as
// long as some are on their way, and returns the counters of then. The law has
// to hold in every status meanwhile.
func (r *Running) Settled(server string, received uint64) Buffers {
	r.T.Helper()
	statuses := r.Subscribe("ami.status." + server + ".buffers")
	defer statuses.Unsubscribe()
	deadline, moved := time.Now().Add(Patience), uint64(0)
	for {
		var b Buffers
		if err := json.Unmarshal(r.Next(statuses).Data, &b); err != nil {
			r.T.Fatal(err)
		}
		if b.Received != b.Published+b.Lost()+b.Filtered+b.Queued+b.InFlight {
			r.T.Errorf("the law does not hold: %+v", b)
		}
		if b.Received >= received && b.Queued+b.InFlight == 0 {
			return b
		}
		if now := b.Received + b.Published + b.Lost(); now != moved {
			deadline, moved = time.Now().Add(Patience), now
		}
		if time.Now().After(deadline) {
			r.T.Fatalf("%s does not settle: %+v, want %d received", server, b, received)
		}
	}
}
