package bridge

import (
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/actions"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/outbox"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/standby"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/state"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/view"
)

// metrics reads what is counted anyway whenever Prometheus asks, so that
// counting costs the hot path nothing and no number stands in two places.
type metrics struct {
	bridge      *Bridge
	ofBridge    []series[*Bridge]
	ofEndpoint  []series[*actions.Endpoint]
	ofServer    []series[*counted]
	ofDurations *prometheus.Desc
}

// metric is a row of the tables below: a name, what it says, and where its values
// are.
type metric[T any] struct {
	kind   prometheus.ValueType
	name   string
	help   string
	labels string // that tell its series of one T apart, with a blank between
	values func(of T, say say)
}

const (
	gauge   = prometheus.GaugeValue
	counter = prometheus.CounterValue
)

// say takes a value, and what the metric's own labels are for it.
type say func(value float64, labels ...string)

// once takes no value as long as it is 0. It is for what is 0 as long as all is well: a
// scrape of a thousand servers is a tenth of what it would be. A rule of deploy/prometheus
// counts a series that is new as a whole.
func (s say) once() say {
	return func(value float64, labels ...string) {
		if value != 0 {
			s(value, labels...)
		}
	}
}

// series is a metric with its Desc.
type series[T any] struct {
	metric[T]
	desc *prometheus.Desc
}

// counted is what one look at a server has shown.
type counted struct {
	*server
	box  outbox.Account
	link amiconn.Status
	up   state.Counts

	standing *standby.Standing // nil: no others share it, or nobody has looked yet
	node     string            // this bridge's
	doubled  bool              // another bridge publishes it too
	// floor is what the page shows of it, if that is of now and another bridge does
	// not tell it.
	floor *view.FloorSums
}

func newMetrics(b *Bridge) *metrics {
	return &metrics{
		bridge: b, ofBridge: described(bridgeMetrics()), ofEndpoint: described(endpointMetrics(), "endpoint"),
		ofServer:    described(serverMetrics(), "server"),
		ofDurations: describe("action_duration_seconds", "From a request to its reply, of those answered or failed.", "server"),
	}
}

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("ami_nats_bridge_"+name, help, labels, nil)
}

// described gives each row its Desc. Those labels come before its own.
func described[T any](rows []metric[T], labels ...string) []series[T] {
	all := make([]series[T], 0, len(rows))
	for _, row := range rows {
		own := append(slices.Clone(labels), strings.Fields(row.labels)...)
		all = append(all, series[T]{row, describe(row.name, row.help, own...)})
	}
	return all
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(ch chan<- *prometheus.Desc) { prometheus.DescribeByCollect(m, ch) }

// Collect implements prometheus.Collector.
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	collect(ch, m.ofBridge, m.bridge)
	for _, e := range m.bridge.actions.Endpoints() {
		collect(ch, m.ofEndpoint, e, e.Name)
	}
	floors := m.bridge.picture.FloorSums()
	for _, s := range m.bridge.servers.all() {
		c := &counted{server: s, box: s.outbox.Account(), link: s.link.Status(), up: s.state.Counts(), node: m.bridge.cfg.Node, doubled: m.bridge.beside.Doubled(s.cfg.Name)}
		if s.shared != nil {
			c.standing = s.shared.Standing()
		}
		if sums, known := floors[s.cfg.Name]; known && !c.up.Elsewhere {
			c.floor = &sums
		}
		collect(ch, m.ofServer, c, s.cfg.Name)
		if n, sum, buckets := s.target.Durations(); n > 0 {
			ch <- prometheus.MustNewConstHistogram(m.ofDurations, n, sum.Seconds(), buckets, s.cfg.Name)
		}
	}
}

// collect sends all series of one thing, which labels name.
func collect[T any](ch chan<- prometheus.Metric, all []series[T], of T, labels ...string) {
	for _, s := range all {
		s.values(of, func(value float64, own ...string) {
			ch <- prometheus.MustNewConstMetric(s.desc, s.kind, value, append(slices.Clip(labels), own...)...)
		})
	}
}

// single is the values of a metric without a label of its own.
func single[T any, N ~int | ~int64 | ~uint64 | ~float64](value func(T) N) func(T, say) {
	return func(of T, say say) { say(float64(value(of))) }
}

// rare is single for what is told once it is not 0.
func rare[T any, N ~int | ~int64 | ~uint64 | ~float64](value func(T) N) func(T, say) {
	return func(of T, say say) { say.once()(float64(value(of))) }
}

// counts says each count by its label.
func counts[K ~string](by map[K]uint64, say say) {
	for label, n := range by {
		say(float64(n), string(label))
	}
}

func one(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}
