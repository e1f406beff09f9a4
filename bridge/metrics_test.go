package bridge

import (
	"bytes"
	"context"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/outbox"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// The reasons and states that metrics have as labels.
const (
	endpointLabels = "pbx1 any all"
	streamNames    = "actions AMI_STATUS AMI_AUDIT KV_AMI_STATE AMI_EVENTS KV_AMI_IDEMPOTENCY"
	streamWords    = "unknown off ok differs missing full read_only captured no_jetstream unseen no_permission unavailable"
)

// startSeries are the series of a bridge to one server, pbx1, of which nothing
// is known yet: those without the label server, then its own.
var startSeries = map[string]string{
	"build_info":                    "version=",
	"nats_up":                       "connection=events connection=control",
	"nats_connections_remade_total": "connection=events connection=control",
	"nats_subscriptions_missing":    "connection=events connection=control",
	"log_lines_lost_total":          "",
	"replies_denied_total":          "",
	"ami_session_up":                "role=event role=action",
	"events_received_total":         "",
	"events_published_total":        "",
	"delivery":                      "way=fast_ingest way=window way=core",
	"outbox_events":                 "",
	"outbox_in_flight_events":       "",
	"outbox_bytes":                  "",
	"outbox_capacity_bytes":         "",
	"outbox_high_water_bytes":       "",
	"breaker_state":                 "state=closed",
	"stream_state":                  streamSeries(),
	"audit_records_total":           "",
	"audit_queue_bytes":             "",
	"audit_records_lost_total":      "",
	"requests_held_bytes":           each("endpoint", endpointLabels),
	"actions_pending":               "",
	"actions_pending_limit":         "",
	"write_buffer_bytes":            "",
	"write_buffer_capacity_bytes":   "",
	"state_leads":                   "",
}

// streamSeries is each stream in each state.
func streamSeries() string {
	var all []string
	for stream := range strings.FieldsSeq(streamNames) {
		for state := range strings.FieldsSeq(streamWords) {
			all = append(all, "state="+state+",stream="+stream)
		}
	}
	return strings.Join(all, " ")
}

// each is label=value for each of the words.
func each(label string, words ...string) string {
	var all []string
	for word := range strings.FieldsSeq(strings.Join(words, " ")) {
		all = append(all, label+"="+word)
	}
	return strings.Join(all, " ")
}

// What a rule needs is there before anything has happened, so that its absence
// does not mean zero and an increase from nothing is seen.
func TestMetrics_WhatRulesNeedExistsAtStart(t *testing.T) {
	want, got := map[string][]string{}, map[string][]string{}
	for name, labels := range startSeries {
		own := "server=pbx1"
		switch name {
		case "build_info", "nats_up", "delivery", "log_lines_lost_total", "replies_denied_total", "audit_records_total", "audit_queue_bytes", "audit_records_lost_total",
			"stream_state", "requests_held_bytes",
			"nats_connections_remade_total", "nats_subscriptions_missing":
			own = ""
		}
		series := strings.Fields(labels)
		if len(series) == 0 {
			series = []string{""}
		}
		for _, s := range series {
			s = strings.ReplaceAll(s, ",", " ")
			want[name] = append(want[name], strings.Join(slices.Sorted(slices.Values(strings.Fields(s+" "+own))), " "))
		}
		slices.Sort(want[name])
	}
	families, err := metricsBridge(t).registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		name := strings.TrimPrefix(family.GetName(), "ami_nats_bridge_")
		for _, metric := range family.GetMetric() {
			var labels []string
			for _, l := range metric.GetLabel() {
				labels = append(labels, l.GetName()+"="+l.GetValue())
			}
			got[name] = append(got[name], strings.Join(labels, " "))
		}
		slices.Sort(got[name])
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("series at start (-want +got):\n%s", diff)
	}
}

func TestMetrics_AllAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]bool{}
	for _, match := range regexp.MustCompile("`ami_nats_bridge_(\\w+)`").FindAllSubmatch(page, -1) {
		documented[string(match[1])] = true
	}
	m, rows := newMetrics(metricsBridge(t)), map[string]bool{"action_duration_seconds": true}
	for _, row := range m.ofBridge {
		rows[row.name] = true
	}
	for _, row := range m.ofEndpoint {
		rows[row.name] = true
	}
	for _, row := range m.ofServer {
		rows[row.name] = true
		cell := "| `ami_nats_bridge_" + row.name + "`"
		if at := bytes.Index(page, []byte(cell)); at >= 0 {
			labels := strings.TrimSpace(strings.Split(string(page[at:]), "|")[2])
			if want := strings.TrimSpace("server " + row.labels); strings.ReplaceAll(labels, ",", "") != want {
				t.Errorf("docs/metrics.md: %s has the labels %s, want %s", row.name, labels, want)
			}
		}
	}
	if diff := cmp.Diff(rows, documented); diff != "" {
		t.Errorf("docs/metrics.md (-exists +documented):\n%s", diff)
	}
	rare := map[string]bool{}
	for _, match := range regexp.MustCompile("`ami_nats_bridge_(\\w+)` ⁺").FindAllSubmatch(page, -1) {
		rare[string(match[1])] = true
	}
	for name := range documented {
		if _, begins := startSeries[name]; begins == rare[name] {
			t.Errorf("docs/metrics.md: %s is there at the start: %v", name, begins)
		}
	}
}

func TestMetrics_FollowTheConventions(t *testing.T) {
	families, err := metricsBridge(t).registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// What docs/metrics.md says of the size of a scrape: lines a server of which
// nothing has happened.
func TestMetrics_AServerIsFewLines(t *testing.T) {
	lines := func(names ...string) int {
		cfg := config.DefaultConfig()
		cfg.NATS.URL = natstest.Start(t, t.TempDir(), 0).ClientURL()
		w := httptest.NewRecorder()
		promhttp.HandlerFor(connectedBridge(t, cfg, names...).registry, promhttp.HandlerOpts{}).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
		return strings.Count(w.Body.String(), "\n")
	}
	if n := lines("pbx1", "pbx2") - lines("pbx1"); n != 16 {
		t.Errorf("%d lines a server", n)
	}
}

// metricsBridge is a bridge that has reached NATS and nothing else.
func metricsBridge(t *testing.T) *Bridge {
	t.Helper()
	cfg := config.DefaultConfig()
	cfg.NATS.URL = natstest.Start(t, t.TempDir(), 0).ClientURL()
	b := connectedBridge(t, cfg, "pbx1")
	b.deps.LogLost = func() uint64 { return 0 }
	return b
}

// The metrics of the events are the outbox's own numbers, each under its name.
func TestMetrics_SayWhatTheOutboxHolds(t *testing.T) {
	s := natstest.Start(t, t.TempDir(), 0)
	b := testBridge(t, s.ClientURL(), config.DeliverJetStream)
	over, cancel := context.WithCancel(t.Context())
	cancel()
	b.publisher.Run(over) // takes up the connection and sends nothing
	b.events.Confirm(t.Context())
	b.control.Confirm(t.Context())
	if _, err := b.control.Subscribe("x", "", func(*nats.Msg) {}); err != nil { // not confirmed
		t.Fatal(err)
	}
	server := b.servers.here()[0]
	o := server.outbox
	o.SetLastBefore(time.Time{})
	for i := range 10 {
		o.Push(outbox.Entry{Subject: "ami.events.pbx1.Test", Session: "s1", Seq: uint64(i + 1), At: 1}, []byte("{}"), false)
	}
	odd, err := frames.NewReader(strings.NewReader("Event: Test\r\nX: \xff\xfe\xfd\r\n\r\n"), 1<<10).Next()
	if err != nil {
		t.Fatal(err)
	}
	server.ingest.OnEvent(amiconn.Event{Session: "s1", Seq: 11, At: time.Now(), Frame: odd})
	for range 4 {
		server.ingest.OnCorrupt(1)
	}
	for range 5 {
		o.Take(nil)
	}
	o.Ack()
	o.Ack()
	o.Rewind(nil, nil)
	o.Take(nil)
	o.Filter()
	o.Refuse(outbox.Entry{Session: "s1", Seq: 12})
	server.status.PublishGap(outbox.Gap{Reason: outbox.DropOversize})
	b.streams.PublishRefused(streams.EventStream, 10077, "maximum bytes exceeded")
	got := gathered(t, b)
	a := o.Account()
	for name, want := range map[string]float64{
		"events_received_total pbx1": 13, "events_published_total pbx1": 2, "events_resent_total pbx1": 1,
		"events_filtered_total pbx1": 1, "events_dropped_total oversize pbx1": 1,
		"outbox_events pbx1": 8, "outbox_in_flight_events pbx1": 1, "outbox_bytes pbx1": float64(a.Bytes),
		"outbox_high_water_bytes pbx1": float64(a.HighWater), "outbox_capacity_bytes pbx1": float64(server.cfg.OutboxBytes),
		"characters_replaced_total pbx1": 3, "frames_corrupt_total pbx1": 4, "gaps_total oversize pbx1": 1,
		"delivery fast_ingest": 1, "delivery window": 0, "delivery core": 0,
		"nats_up events": 1, "nats_up control": 1, "nats_connections_remade_total events": 0,
		"nats_subscriptions_missing events": 0, "nats_subscriptions_missing control": 1,
		"stream_state full AMI_EVENTS": 1, "stream_state ok AMI_EVENTS": 0, "stream_state ok AMI_AUDIT": 1,
		"breaker_state pbx1 closed": 1, "ami_session_up event pbx1": 0,
	} {
		if value, ok := got[name]; !ok || value != want {
			t.Errorf("%s is %v, want %v", name, value, want)
		}
	}
	if a.HighWater <= a.Bytes {
		t.Error("the most is not more than what there is")
	}
	b.events.Get().Close()
	if got := gathered(t, b); got["nats_up events"] != 0 || got["nats_up control"] != 1 {
		t.Errorf("events up %v, control %v", got["nats_up events"], got["nats_up control"])
	}
}

// gathered are the gauges and counters of b, by name and the values of their
// labels.
func gathered(t *testing.T, b *Bridge) map[string]float64 {
	t.Helper()
	families, err := b.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]float64)
	for _, family := range families {
		for _, m := range family.GetMetric() {
			var name strings.Builder
			name.WriteString(strings.TrimPrefix(family.GetName(), "ami_nats_bridge_"))
			for _, l := range m.GetLabel() {
				name.WriteString(" " + l.GetValue())
			}
			all[name.String()] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	return all
}

func (r *running) gathered() map[string]float64 { return gathered(r.t, r.Bridge) }

// The metrics of the Actions tell apart what is late, what is too much for which
// buffer, and what was no text; a breaker that opens is told by its state.
func TestMetrics_SayWhatBecomesOfActions(t *testing.T) {
	a := run(t, Deps{}, func(c *config.Config) {
		c.Servers[0].MaxPending, c.Servers[0].WriteBufferBytes, c.Servers[0].ActionTimeout = 1, 2<<10, time.Minute
		c.Servers[0].BreakerCooldown = time.Hour
	}, nil)
	sim := a.sims["pbx1"]
	ask := func(action, body string) {
		t.Helper()
		a.ask(1, "pbx1", action, body)
		natstest.Within(t, "nothing is pending any more", func() bool { return a.gathered()["actions_pending pbx1"] == 0 })
	}
	sim.Next("CoreStatus", amisim.Twice())
	ask("CoreStatus", "")
	sim.Next("CoreSettings", amisim.Rewrite(func(b []byte) []byte {
		return bytes.Replace(b, []byte("Response: Success\r\n"), []byte("Response: Success\r\nX: \xff\xfe\r\n"), 1)
	}))
	ask("CoreSettings", "")
	ask("Setvar", `{"Variable":["`+strings.Repeat("x", 900)+`","`+strings.Repeat("y", 900)+`","`+strings.Repeat("z", 900)+`"]}`)
	sim.Next("CoreStatus", amisim.Ignore)
	if err := a.nc.PublishRequest("ami.actions.pbx1.CoreStatus", "_INBOX.test.1", nil); err != nil { // never answered
		t.Fatal(err)
	}
	a.ask(2, "pbx1", "CoreSettings", "")
	got := a.gathered()
	for name, want := range map[string]float64{
		"responses_late_total pbx1":      1,
		"characters_replaced_total pbx1": 2, "actions_busy_total write_buffer pbx1": 1, "actions_busy_total pending_actions pbx1": 2,
		"actions_pending pbx1": 1, "actions_pending_limit pbx1": 1, "breaker_state pbx1 closed": 1,
	} {
		if value, ok := got[name]; !ok || value != want {
			t.Errorf("%s is %v (there: %v), want %v", name, value, ok, want)
		}
	}
	sim.Always("Login", amisim.Deny("Authentication failed"))
	sim.Kick()
	natstest.Within(t, "the breaker is open", func() bool { return a.gathered()["breaker_state pbx1 open"] == 1 })
	if m := a.gathered(); m["breaker_state pbx1 closed"] != 0 || m["breaker_transitions_total pbx1 open"] != 1 || m["session_failures_total auth pbx1"] != 1 {
		t.Errorf("closed %v, opened %v times, %v refusals", m["breaker_state pbx1 closed"], m["breaker_transitions_total pbx1 open"], m["session_failures_total auth pbx1"])
	}
}
