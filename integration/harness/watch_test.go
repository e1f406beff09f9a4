package harness

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// silent takes what a test that is to fail would say.
type silent struct{ testing.TB }

func (silent) Errorf(string, ...any) {}

// The watch itself, over a registry that says what the test likes.
func TestWatch_SeesABrokenLawAndABufferOverItsBound(t *testing.T) {
	for _, test := range []struct {
		name   string
		values map[string]float64
		holds  bool
	}{
		{"kept", map[string]float64{"events_received_total": 3, "events_published_total": 1, "events_dropped_total": 2}, true},
		{"one more", map[string]float64{"events_received_total": 3, "events_published_total": 1, "events_dropped_total": 3}, false},
		{"one is nowhere", map[string]float64{"events_received_total": 3, "outbox_events": 1, "outbox_in_flight_events": 1}, false},
		{"an outbox over its bound", map[string]float64{"outbox_bytes": 2 << 20, "outbox_capacity_bytes": 1 << 20}, false},
		{"too many pending", map[string]float64{"actions_pending": 3, "actions_pending_limit": 2}, false},
	} {
		registry := prometheus.NewRegistry()
		for name, value := range test.values {
			gauge := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "ami_nats_bridge_" + name}, []string{"server"})
			gauge.WithLabelValues("pbx1").Set(value)
			registry.MustRegister(gauge)
		}
		if got := (&Running{T: silent{}, Metrics: registry}).holds(); got != test.holds {
			t.Errorf("%s: holds is %v", test.name, got)
		}
	}
}
