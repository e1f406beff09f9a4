package harness

import (
	"github.com/prometheus/client_golang/prometheus"
)

// What may be held beside what a buffer's limit bounds: as many Gaps of 224 bytes
// as a server may have in flight, and some that wait, in an outbox; Ping and
// Logoff in a write buffer.
const GapsBytes, pingsBytes = (1024 + 64) * 224, 4 << 10

// holds reports whether for each server of a bridge all holds that has to at any
// moment, whatever a test does to it: the law of conservation, as Prometheus is
// told it, and the bounds of its buffers.
func (r *Running) holds() (ok bool) {
	servers, err := sums(r.Metrics)
	if err != nil {
		r.T.Error(err)
		return false
	}
	ok = true
	for name, m := range servers {
		received, accounted := m["events_received_total"], m["events_published_total"]+m["events_dropped_total"]+
			m["events_filtered_total"]+m["outbox_events"]+m["outbox_in_flight_events"]
		if received != accounted {
			r.T.Errorf("%s: the law does not hold: %v received, %v accounted for: %v", name, received, accounted, m)
			ok = false
		}
		for what, limit := range map[string]float64{
			"outbox_bytes": m["outbox_capacity_bytes"] + GapsBytes, "outbox_high_water_bytes": m["outbox_capacity_bytes"] + GapsBytes,
			"write_buffer_bytes": m["write_buffer_capacity_bytes"] + pingsBytes, "actions_pending": m["actions_pending_limit"],
		} {
			if m[what] > limit {
				r.T.Errorf("%s: %s is %v, over its bound of %v", name, what, m[what], limit)
				ok = false
			}
		}
	}
	return ok
}

// sums returns each server's metrics, those with further labels summed.
func sums(from prometheus.Gatherer) (servers map[string]map[string]float64, err error) {
	families, err := from.Gather()
	if err != nil {
		return nil, err
	}
	servers = map[string]map[string]float64{}
	const prefix = "ami_nats_bridge_"
	for _, family := range families {
		for _, sample := range family.GetMetric() {
			for _, l := range sample.GetLabel() {
				if l.GetName() != "server" {
					continue
				}
				if servers[l.GetValue()] == nil {
					servers[l.GetValue()] = map[string]float64{}
				}
				servers[l.GetValue()][family.GetName()[len(prefix):]] += sample.GetCounter().GetValue() + sample.GetGauge().GetValue()
			}
		}
	}
	return servers, nil
}
