package bridge

import (
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/present"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/view"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/watch"
)

// floorOf are the series of the floor that a bridge to pbx1 tells where objects are what
// is up.
func floorOf(t *testing.T, objects map[string]map[string]string) map[string]float64 {
	t.Helper()
	b := metricsBridge(t)
	b.picture = watch.New(watch.Options{Look: func(time.Time, *view.Model) {}, Objects: func() iter.Seq2[string, []byte] {
		return func(yield func(string, []byte) bool) {
			for _, key := range slices.Sorted(maps.Keys(objects)) {
				value, err := json.Marshal(objects[key])
				if err != nil {
					t.Error(err)
				}
				if !yield(key, value) {
					return
				}
			}
		}
	}})
	families, err := b.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]float64{}
	for _, family := range families {
		name, ours := strings.CutPrefix(family.GetName(), "ami_nats_bridge_floor_")
		for _, metric := range family.GetMetric() {
			var series strings.Builder
			series.WriteString(name)
			for _, l := range metric.GetLabel() {
				series.WriteString(" " + l.GetName() + "=" + l.GetValue())
			}
			if ours {
				all[series.String()] = metric.GetGauge().GetValue()
			}
		}
	}
	return all
}

// floorObjects is a server with a queue in which two wait, one in which nobody does, and three
// agents, one of them in both.
func floorObjects(state string) map[string]map[string]string {
	ago := func(d time.Duration) string { return time.Now().Add(-d).UTC().Format(time.RFC3339Nano) }
	member := func(queue, name, status, paused string) map[string]string {
		return map[string]string{"Queue": queue, "Interface": "PJSIP/" + name, "MemberName": name, "Status": status, "Paused": paused}
	}
	return map[string]map[string]string{
		"pbx1.server":       {"state": state, "since": ago(time.Hour)},
		"pbx1.channel.1":    {"Uniqueid": "1", "Linkedid": "1"},
		"pbx1.channel.2":    {"Uniqueid": "2", "Linkedid": "1"},
		"pbx1.channel.3":    {"Uniqueid": "3", "Linkedid": "3"},
		"pbx1.queue.sales":  {"Queue": "sales"},
		"pbx1.queue.empty":  {"Queue": "empty"},
		"pbx1.caller.s.1":   {"Queue": "sales", "Position": "1", "Since": ago(2 * time.Minute)},
		"pbx1.caller.s.3":   {"Queue": "sales", "Position": "2", "Since": ago(time.Minute)},
		"pbx1.member.s.ann": member("sales", "ann", "1", "0"),
		"pbx1.member.e.ann": member("empty", "ann", "1", "0"),
		"pbx1.member.s.bob": member("sales", "bob", "2", "0"),
		"pbx1.member.s.cy":  member("sales", "cy", "1", "1"),
	}
}

// The metrics of the floor are what the page shows: calls and not channels, an agent once
// however many queues it is in, a queue too in which nobody waits.
func TestMetrics_Floor(t *testing.T) {
	got := floorOf(t, floorObjects("live"))
	const longest = "longest_wait_seconds queue=sales server=pbx1"
	if wait := got[longest]; wait < 120 || wait > 120+600 {
		t.Errorf("the longest wait is %v", wait)
	}
	got[longest] = 120
	want := map[string]float64{
		"calls server=pbx1":                       2,
		"callers_waiting queue=sales server=pbx1": 2, "callers_waiting queue=empty server=pbx1": 0,
		longest: 120, "longest_wait_seconds queue=empty server=pbx1": 0,
		"agents server=pbx1 state=free": 1, "agents server=pbx1 state=talking": 1, "agents server=pbx1 state=paused": 1,
		"agents server=pbx1 state=ringing": 0, "agents server=pbx1 state=away": 0,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the floor (-want +got):\n%s", diff)
	}
}

// What is stale is no number of now, and without the state there is none at all.
func TestMetrics_NoFloorWhereNobodyKnows(t *testing.T) {
	off := floorObjects("live")
	delete(off, "pbx1.server")
	for name, objects := range map[string]map[string]map[string]string{"stale": floorObjects("stale"), "off": off, "nothing": {}} {
		if got := floorOf(t, objects); len(got) > 0 {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// However many queues a server has, and whatever they are called, its series are bounded, and
// all who wait are counted.
func TestMetrics_QueuesOfTheFloorAreBounded(t *testing.T) {
	objects := map[string]map[string]string{"pbx1.server": {"state": "live"}}
	names := []string{otherQueues, "", "\x1b[2J", "a\"b\\c\nd", "\u202e"}
	for i := range 5 * maxQueueLabels {
		names = append(names, fmt.Sprintf("q%04d", i))
	}
	for i, name := range names {
		id := fmt.Sprint(i)
		objects[present.Key("pbx1", present.Queue, name)] = map[string]string{"Queue": name}
		objects[present.Key("pbx1", present.Caller, name, id)] = map[string]string{"Queue": name, "Uniqueid": id, "Since": time.Now().UTC().Format(time.RFC3339Nano)}
	}
	got, series, waiting := floorOf(t, objects), 0, 0.0
	for name, value := range got {
		if strings.HasPrefix(name, "callers_waiting ") {
			series++
			waiting += value
		}
	}
	if series != maxQueueLabels+1 || int(waiting) != len(names) {
		t.Errorf("%d series, in which %v of %d wait", series, waiting, len(names))
	}
	if rest := got["callers_waiting queue=other server=pbx1"]; int(rest) != len(names)-maxQueueLabels {
		t.Errorf("in other %v wait", rest)
	}
}
