package docs

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"go.yaml.in/yaml/v3"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
)

// alertRule is what the alerts have to say.
type alertRule struct {
	Alert, Expr string
	For         string
	Labels      struct{ Severity string }
	Annotations struct{ Summary, Description string }
}

func readAlerts(t *testing.T) (rules []alertRule) {
	t.Helper()
	var file struct{ Groups []struct{ Rules []alertRule } }
	if err := yaml.Unmarshal([]byte(harness.ReadText(t, harness.Root(t), "deploy/prometheus/alerts.yml")), &file); err != nil {
		t.Fatal(err)
	}
	for _, group := range file.Groups {
		rules = append(rules, group.Rules...)
	}
	if len(rules) == 0 {
		t.Fatal("alerts.yml has no rule")
	}
	return rules
}

// Every query of the dashboard and of the alerts names metrics that a running
// bridge has or that docs/metrics.md says it will have, labels that they have, and
// values that these have.
func TestDeploy_QueriesNameMetricsThatExist(t *testing.T) {
	known := runningMetrics(t)
	check := func(where, expr, text string) {
		q, err := parseQuery(expr)
		if err != nil {
			t.Errorf("%s: %v", where, err)
			return
		}
		labels := map[string]bool{"job": true, "instance": true}
		for _, metric := range q.metrics {
			if known[metric] == nil {
				t.Errorf("%s: there is no metric %s", where, metric)
			}
			maps.Copy(labels, known[metric])
		}
		if len(q.metrics) == 0 {
			t.Errorf("%s: no metric in %s", where, expr)
		}
		for _, match := range regexp.MustCompile(`\{\{ *(?:\$labels\.)?(\w+) *\}\}`).FindAllStringSubmatch(text, -1) {
			q.labels = append(q.labels, match[1])
		}
		for _, value := range q.values {
			label, word, _ := strings.Cut(value, "=")
			if !slices.Contains(anyValue, label) && !labels[value] {
				t.Errorf("%s: no label %s of %q is ever %q", where, label, q.metrics, word)
			}
		}
		for _, label := range q.labels {
			if !labels[label] {
				t.Errorf("%s: none of %q has a label %s", where, q.metrics, label)
			}
		}
	}
	eachQuery(t, check)
}

// eachQuery calls f with each query of the alerts and of the dashboard, and the text that
// shows its labels.
func eachQuery(t *testing.T, f func(where, expr, text string)) {
	t.Helper()
	for _, rule := range readAlerts(t) {
		f(rule.Alert, rule.Expr, rule.Annotations.Summary+rule.Annotations.Description)
	}
	var dashboard any
	if err := json.Unmarshal([]byte(harness.ReadText(t, harness.Root(t), "deploy/grafana/ami-nats-bridge.json")), &dashboard); err != nil {
		t.Fatal(err)
	}
	queries := 0
	eachObject(dashboard, func(o map[string]any) {
		text := func(key string) string { s, _ := o[key].(string); return s }
		expr := strings.ReplaceAll(strings.ReplaceAll(text("expr")+text("definition"), "$__rate_interval", "5m"), "$__range", "3h")
		if expr != "" {
			queries++
			f("dashboard", expr, text("legendFormat")+text("textFormat"))
		}
	})
	if queries < 30 {
		t.Errorf("only %d queries found in the dashboard", queries)
	}
}

// What is there once it is not 0 begins with its first count, from which Prometheus sees no
// increase: a rule or a panel that asks for one takes the whole of a series that is new. That
// comes before the increase, which is there, as 0, from the second scrape on.
func TestDeploy_TheFirstCountIsSeen(t *testing.T) {
	documented, increase := harness.DocumentedMetrics(t), regexp.MustCompile(`increase\(((ami_nats_bridge_\w+)(?:\{[^}]*\})?)\[([^]]+)\]\)`)
	eachQuery(t, func(where, expr, _ string) {
		expr = strings.Join(strings.Fields(expr), " ")
		for _, match := range increase.FindAllStringSubmatch(expr, -1) {
			of, window := match[1], match[3]
			want := fmt.Sprintf("(%s unless max_over_time(%s[5m] offset %s)) or %s", of, of, window, match[0])
			if documented[match[2]].Rare && !strings.Contains(expr, want) {
				t.Errorf("%s misses the first of %s: want %s in %s", where, match[2], want, expr)
			}
		}
	})
}

// Whoever looks at the dashboard sees all that a bridge counts, and docs/metrics.md
// has a line for each.
func TestDeploy_EveryMetricIsShownAndDocumented(t *testing.T) {
	root := harness.Root(t)
	dashboard := harness.ReadText(t, root, "deploy/grafana/ami-nats-bridge.json")
	names, own := []string{}, regexp.MustCompile(`ami_nats_bridge_\w+`)
	for name := range runningMetrics(t) {
		// A histogram is one metric.
		if own.MatchString(name) && !regexp.MustCompile(`_seconds_(count|sum|bucket)$`).MatchString(name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	shown := own.FindAllString(strings.ReplaceAll(dashboard, "_seconds_bucket", "_seconds"), -1)
	slices.Sort(shown)
	if diff := cmp.Diff(names, slices.Compact(shown)); diff != "" {
		t.Errorf("metrics (-bridge +dashboard):\n%s", diff)
	}
	documented := slices.Sorted(maps.Keys(harness.DocumentedMetrics(t)))
	if diff := cmp.Diff(names, documented); diff != "" {
		t.Errorf("metrics (-bridge +docs/metrics.md):\n%s", diff)
	}
}

// anyValue are the labels whose values are of the place, not of the bridge.
var anyValue = []string{"job", "instance", "server"}

// Whoever is woken up is told what to do, and finds it in docs/operating.md.
func TestDeploy_AlertsSayWhatToDo(t *testing.T) {
	page := harness.ReadText(t, harness.Root(t), "docs/operating.md")
	var names, documented []string
	for _, rule := range readAlerts(t) {
		names = append(names, rule.Alert+" "+rule.Labels.Severity)
		if rule.For == "" || rule.Annotations.Summary == "" || len(rule.Annotations.Description) < 80 {
			t.Errorf("%s lacks for, a summary, or a description that helps", rule.Alert)
		}
		named := regexp.MustCompile(`docs/operating\.md, "([^"]+)"\.$`).FindStringSubmatch(rule.Annotations.Description)
		if named == nil {
			t.Errorf("%s: the description does not end with a section of docs/operating.md", rule.Alert)
		} else if !strings.Contains(section(t, page, "## "+named[1]), "\n| `"+rule.Alert+"` (") {
			t.Errorf("%s: docs/operating.md has no line for it in its section %q", rule.Alert, named[1])
		}
	}
	for _, row := range regexp.MustCompile("(?m)^\\| `(Ami\\w+)` \\((\\w+)\\)").FindAllStringSubmatch(page, -1) {
		documented = append(documented, row[1]+" "+row[2])
	}
	slices.Sort(names)
	slices.Sort(documented)
	if diff := cmp.Diff(names, documented); diff != "" {
		t.Errorf("alerts (-alerts.yml +docs/operating.md):\n%s", diff)
	}
}

// What the test makes of PromQL that is wrong.
func TestDeploy_WrongQueriesAreRefused(t *testing.T) {
	for _, expr := range []string{"rate(a[5m]", "a{b}", "a{b=c}", "fault(a)", "sum by (x (a)", "a ? b", `a{b="c"`} {
		if q, err := parseQuery(expr); err == nil {
			t.Errorf("%s is read as %+v", expr, q)
		}
	}
	got, err := parseQuery(`sum by (x) (rate(a{b=~"c|d", e!="f"}[5m])) / on (g) group_left () h > 0.5 or vector(0)`)
	want := query{metrics: []string{"a", "h"}, labels: []string{"x", "b", "e", "g"},
		values: []string{"b=c", "b=d", "e=f"}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(query{})); diff != "" || err != nil {
		t.Errorf("%v, (-want +got):\n%s", err, diff)
	}
}

// runningMetrics are the metrics of a bridge as cmd runs it, with the labels of
// each, also as label=value, and those that Prometheus adds.
func runningMetrics(t *testing.T) map[string]map[string]bool {
	t.Helper()
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	_, addr := harness.Sim(t, amisim.Config{})
	cfg := config.DefaultConfig()
	cfg.Node, cfg.HTTPAddr, cfg.NATS.URL = "b1", "", harness.NATS(t)
	cfg.Servers = []config.ServerConfig{harness.Server("pbx1", addr, "bridge", "s3cret")}
	b, err := bridge.New(cfg, bridge.Deps{Version: "0.0.0", Registerer: registry, LogLost: func() uint64 { return 0 }})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	group.Go(func() {
		if err := b.Run(ctx); err != nil {
			t.Errorf("the bridge ended with: %v", err)
		}
	})
	defer group.Wait()
	defer cancel()
	select {
	case <-b.Ready():
	case <-time.After(harness.Patience):
		t.Fatal("the bridge is not ready")
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]map[string]bool{"up": {}}
	for _, family := range families {
		labels := map[string]bool{}
		for _, metric := range family.GetMetric() {
			for _, label := range metric.GetLabel() {
				labels[label.GetName()], labels[label.GetName()+"="+label.GetValue()] = true, true
			}
		}
		known[family.GetName()] = labels
	}
	for name, m := range harness.DocumentedMetrics(t) {
		if known[name] == nil {
			known[name] = map[string]bool{}
		}
		for _, label := range m.Labels {
			known[name][label] = true
			for _, value := range m.Values {
				known[name][label+"="+value] = true
			}
		}
		if histogram, is := strings.CutSuffix(name, "_seconds"); is {
			buckets := maps.Clone(known[name])
			buckets["le"] = true
			known[histogram+"_seconds_bucket"] = buckets
		}
	}
	return known
}

// eachObject calls f with every object in v.
func eachObject(v any, f func(map[string]any)) {
	switch v := v.(type) {
	case map[string]any:
		f(v)
		for _, key := range slices.Sorted(maps.Keys(v)) {
			eachObject(v[key], f)
		}
	case []any:
		for _, element := range v {
			eachObject(element, f)
		}
	}
}

// The unit gives the bridge no right that it does not need, and no secret by its
// environment, which child processes and the journal may see.
func TestDeploy_UnitIsHardened(t *testing.T) {
	unit := harness.ReadText(t, harness.Root(t), "deploy/ami-nats-bridge.service")
	for _, line := range []string{"LoadCredential=", "Environment=BRIDGE_ENV_FILE=", "ExecReload=/bin/kill -HUP", "DynamicUser=yes"} {
		if !strings.Contains(unit, "\n"+line) {
			t.Errorf("the unit has no %s", line)
		}
	}
	if strings.Contains(unit, "\nEnvironmentFile=") {
		t.Error("the unit has an EnvironmentFile, which SIGHUP does not read again")
	}
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("no systemd-analyze here: how exposed the unit is, is not known")
	}
	out, err := exec.CommandContext(t.Context(), analyze, "security", "--offline=true", "--threshold=30",
		filepath.Join(harness.Root(t), "deploy/ami-nats-bridge.service")).CombinedOutput()
	if err != nil {
		t.Errorf("its exposure is over 3: %v\n%s", err, out)
	}
}
