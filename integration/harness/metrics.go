package harness

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"
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

// By returns the metrics that have a label, summed for each value of it; nil, with
// the error told, if they cannot be had.
func (r *Running) By(label string) map[string]map[string]float64 {
	families, err := r.Metrics.Gather()
	if err != nil {
		r.T.Error(err)
		return nil
	}
	all := map[string]map[string]float64{}
	const prefix = "ami_nats_bridge_"
	for _, family := range families {
		for _, sample := range family.GetMetric() {
			for _, l := range sample.GetLabel() {
				if l.GetName() != label {
					continue
				}
				if all[l.GetValue()] == nil {
					all[l.GetValue()] = map[string]float64{}
				}
				all[l.GetValue()][family.GetName()[len(prefix):]] += sample.GetCounter().GetValue() + sample.GetGauge().GetValue()
			}
		}
	}
	return all
}

// Accounted is how many events a server's metrics account for: by the law of
// conservation as many as were received.
func Accounted(server map[string]float64) float64 {
	return server["events_published_total"] + server["events_dropped_total"] + server["events_filtered_total"] +
		server["events_released_total"] + server["outbox_events"] + server["outbox_in_flight_events"]
}

// Buffers is ami.status.<server>.buffers.
type Buffers struct {
	Received, Published, Filtered, Queued, Released uint64

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

// Lawful reports whether the law of conservation holds: each event that was
// received is accounted for.
func (b *Buffers) Lawful() bool {
	return b.Received == b.Published+b.Lost()+b.Filtered+b.Queued+b.InFlight+b.Released
}

// Drained waits until so many events were received and none is under way, for as
// long as some are on their way, and returns the counters of then. The law has
// to hold in every status meanwhile.
func (r *Running) Drained(server string, received uint64) Buffers {
	r.T.Helper()
	statuses := r.Subscribe("ami.status." + server + ".buffers")
	defer statuses.Unsubscribe()
	deadline, moved := time.Now().Add(Patience), uint64(0)
	for {
		var b Buffers
		if err := json.Unmarshal(r.Next(statuses).Data, &b); err != nil {
			r.T.Fatal(err)
		}
		if !b.Lawful() {
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

// DocumentedMetric is a row of docs/metrics.md, which the tests of package bridge
// compare with the bridge's own tables.
type DocumentedMetric struct {
	Labels []string
	Values []string // words that stand between backquotes: values of the labels, and others
	Rare   bool     // not there as long as it is 0
}

// DocumentedMetrics reads docs/metrics.md.
func DocumentedMetrics(t testing.TB) map[string]DocumentedMetric {
	t.Helper()
	quoted := regexp.MustCompile("`([^`]+)`")
	all := map[string]DocumentedMetric{}
	for line := range strings.Lines(ReadText(t, Root(t), "docs", "metrics.md")) {
		cells := strings.SplitN(line, "|", 4)
		if len(cells) < 4 || !strings.Contains(cells[1], "`ami_nats_bridge_") {
			continue
		}
		m := DocumentedMetric{
			Labels: slices.Sorted(slices.Values(strings.FieldsFunc(cells[2], func(r rune) bool { return r == ',' || r == ' ' }))),
			Rare:   strings.Contains(cells[1], "⁺"),
		}
		for _, match := range quoted.FindAllStringSubmatch(cells[3], -1) {
			m.Values = append(m.Values, match[1])
		}
		for _, match := range quoted.FindAllStringSubmatch(cells[1], -1) {
			all[match[1]] = m
		}
	}
	return all
}
