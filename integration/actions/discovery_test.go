package actions

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/actions"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
)

// discover asks the service for what verb tells, which it says in an object of
// that type.
func discover[T any](r *harness.Running, verb, kind string) (got T) {
	r.T.Helper()
	msg, err := r.Client.Request("$SRV."+verb, nil, harness.Patience)
	if err != nil {
		r.T.Fatalf("%s: %v", verb, err)
	}
	var head struct{ Type string }
	if err := json.Unmarshal(msg.Data, &head); err != nil || head.Type != kind {
		r.T.Fatalf("%s: type %q, %v", verb, head.Type, err)
	}
	if err := json.Unmarshal(msg.Data, &got); err != nil {
		r.T.Fatalf("%s: %v", verb, err)
	}
	return got
}

// sameSchema compares a schema that discovery shows with its file.
func sameSchema(t *testing.T, file, shown string) {
	t.Helper()
	var compact bytes.Buffer
	if err := json.Compact(&compact, []byte(harness.ReadText(t, harness.Root(t), "docs", "schemas", file))); err != nil {
		t.Fatal(err)
	}
	if compact.String() != shown {
		t.Errorf("discovery shows another schema than %s: %.200s", file, shown)
	}
}

func TestDiscovery_ShowsEachEndpointAndItsSchemas(t *testing.T) {
	t.Parallel()
	_, r := threeServers(t, nil)
	info := discover[micro.Info](r, "INFO."+actions.ServiceName, micro.InfoResponseType)
	sameSchema(t, "request.schema.json", info.Metadata["request_schema"])
	sameSchema(t, "reply.schema.json", info.Metadata["reply_schema"])
	var shown []string
	for _, e := range info.Endpoints {
		shown = append(shown, strings.Join([]string{e.Name, e.Subject, e.QueueGroup, e.Metadata["kind"], e.Metadata["servers"]}, " "))
		for _, name := range []string{"request_schema", "reply_schema"} {
			var schema struct {
				ID string `json:"$id"`
			}
			if err := json.Unmarshal([]byte(info.Metadata[name]), &schema); err != nil || schema.ID == "" || e.Metadata[name] != schema.ID {
				t.Errorf("%s: %s is %q, that of the service %q (%v)", e.Name, name, e.Metadata[name], schema.ID, err)
			}
		}
	}
	want := []string{
		"pbx1 ami.actions.pbx1.* q server pbx1", "pbx2 ami.actions.pbx2.* q server pbx2", "pbx3 ami.actions.pbx3.* q server pbx3",
		"sales ami.actions.sales.* q group pbx2,pbx3",
		"any ami.actions.any.* q any pbx1,pbx2,pbx3", "all ami.actions.all.*  all pbx1,pbx2,pbx3",
	}
	if diff := cmp.Diff(want, shown); diff != "" {
		t.Errorf("endpoints (-want +got):\n%s", diff)
	}
	// All three subjects of each verb are the same service.
	for _, to := range []string{"", "." + info.Name, "." + info.Name + "." + info.ID} {
		ping := discover[micro.Ping](r, "PING"+to, micro.PingResponseType)
		stats := discover[micro.Stats](r, "STATS"+to, micro.StatsResponseType)
		again := discover[micro.Info](r, "INFO"+to, micro.InfoResponseType)
		for _, got := range []micro.ServiceIdentity{ping.ServiceIdentity, stats.ServiceIdentity, again.ServiceIdentity} {
			if diff := cmp.Diff(info.ServiceIdentity, got); diff != "" || got.Metadata["node"] != "b1" || got.Version != "0.0.0" {
				t.Errorf("%s (-INFO +got):\n%s", to, diff)
			}
		}
		if stats.Started.IsZero() || len(stats.Endpoints) != len(want) {
			t.Errorf("since %v, %d endpoints", stats.Started, len(stats.Endpoints))
		}
	}
	if err := r.Stop(); err != nil {
		t.Fatal(err)
	}
	if msg, err := r.Client.Request("$SRV.PING."+info.Name, nil, harness.Patience); err != nats.ErrNoResponders {
		t.Errorf("after the end: %v, %v", msg, err)
	}
}

// figures are those of one endpoint.
type figures struct {
	micro.EndpointStats
	data struct {
		Answered, Failed, Refused int
		Errors                    map[string]int
		Duration                  struct{ Count, Sum, Average, P50, P99, Max float64 } `json:"duration_ms"`
	}
}

func statistics(r *harness.Running) map[string]figures {
	r.T.Helper()
	all := map[string]figures{}
	for _, e := range discover[micro.Stats](r, "STATS."+actions.ServiceName, micro.StatsResponseType).Endpoints {
		f := figures{EndpointStats: *e}
		if err := json.Unmarshal(e.Data, &f.data); err != nil {
			r.T.Fatalf("%s: %v in %s", e.Name, err, e.Data)
		}
		all[e.Name] = f
	}
	return all
}

// What a request came to is counted where it came in, errors and durations of
// Asterisk's included, and at its server's metrics.
func TestDiscovery_StatisticsAreWhatCallersSaw(t *testing.T) {
	t.Parallel()
	sims, r := threeServers(t, nil)
	sims[0].Next("CoreStatus", amisim.Deny("Permission denied"))
	sims[0].Next("Getvar", amisim.Ignore)
	harness.Fails(t, r.Call("pbx1", "CoreStatus", ""), "asterisk_error", "yes")
	harness.Fails(t, r.Call("pbx1", "Getvar", "", "Ami-Timeout", "4s"), "timeout", "unknown")
	harness.Fails(t, r.Call("pbx1", "Login", ""), "forbidden", "no")
	harness.Fails(t, r.Call("pbx1", "Ping", "[]"), "bad_request", "no")
	for range 3 {
		harness.Succeeds(t, r.Call("pbx1", "Ping", ""))
		harness.Succeeds(t, r.Call("any", "Ping", ""))
	}
	harness.Everyone(r, r.Ask("all", "Ping", ""))
	all := statistics(r)
	for name, want := range map[string][3]int{
		"pbx1": {3, 2, 2}, "any": {3, 0, 0}, "all": {3, 0, 0}, "pbx2": {}, "pbx3": {}, "sales": {},
	} {
		f := all[name]
		if got := [3]int{f.data.Answered, f.data.Failed, f.data.Refused}; got != want ||
			f.NumRequests != want[0]+want[1]+want[2] || f.NumErrors != want[1]+want[2] || int(f.data.Duration.Count) != want[0]+want[1] {
			t.Errorf("%s: answered, failed, refused %v, want %v; %+v", name, got, want, f)
		}
	}
	pbx1 := all["pbx1"]
	if diff := cmp.Diff(map[string]int{"asterisk_error": 1, "timeout": 1, "forbidden": 1, "bad_request": 1}, pbx1.data.Errors); diff != "" {
		t.Errorf("errors by kind (-want +got):\n%s", diff)
	}
	if pbx1.LastError != "bad_request" {
		t.Errorf("last error %q", pbx1.LastError)
	}
	// The one that Asterisk ignored took 4 s.
	d, sum := pbx1.data.Duration, float64(pbx1.ProcessingTime.Microseconds())/1000
	if d.Max < 4_000 || d.Sum < d.Max || d.Sum != sum || d.P99 < 2_500 || d.P99 > d.Max || d.P50 > d.P99 || d.P50 <= 0 ||
		pbx1.AverageProcessingTime != pbx1.ProcessingTime/5 || all["pbx2"].ProcessingTime != 0 {
		t.Errorf("durations %+v, of the endpoint %v, on average %v", d, pbx1.ProcessingTime, pbx1.AverageProcessingTime)
	}
	for server, want := range map[string]uint64{"pbx1": 7, "pbx2": 2, "pbx3": 2} { // with those of any and all
		if n, sum := endpointDurations(r, server); n != want || server == "pbx1" && sum < 4 {
			t.Errorf("%s: the metric has %d actions of %v s", server, n, sum)
		}
	}
}

// endpointDurations are the count and the sum in seconds of a server's histogram.
func endpointDurations(r *harness.Running, server string) (count uint64, sum float64) {
	r.T.Helper()
	families, err := r.Metrics.Gather()
	if err != nil {
		r.T.Fatal(err)
	}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			if h := metric.GetHistogram(); h != nil && metric.GetLabel()[0].GetValue() == server {
				count, sum = h.GetSampleCount(), h.GetSampleSum()
			}
		}
	}
	return count, sum
}
