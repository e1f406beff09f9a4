package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/env/envtest"
)

// A bridge that publishes a server now, with which this one would not share it, FAILs with
// what to do. One that did so a while ago, or is this one, does not; nor does one that shares
// it, if this one does.
func TestCheck_ABridgeThatSharesNothing(t *testing.T) {
	url := streamsNATS(t, nil)
	nc := dialNATS(t, url)
	makes(t, url, jetstream.StreamConfig{Name: "AMI_EVENTS", Subjects: []string{"ami.events.>", "ami.terms.>"}, AllowBatchPublish: true, AllowDirect: true})
	check := func(ha string) string {
		t.Helper()
		s := load(t, envtest.One("BRIDGE_NATS_URL="+url, "BRIDGE_NATS_USER=bridge", "BRIDGE_NATS_PASSWORD=b", "BRIDGE_HA="+ha, "BRIDGE_NODE=b1", "BRIDGE_HTTP_ADDR=")...)
		var out strings.Builder
		for _, f := range checkNATS(t.Context(), s, noTime).found {
			if strings.Contains(f.Text, "publishes pbx1") || strings.Contains(f.Text, "publish pbx1") {
				fmt.Fprintf(&out, "%s  %s\n", f.Verdict, f.Text)
			}
		}
		return out.String()
	}
	stores := func(subject, id string, at time.Time) {
		t.Helper()
		m := nats.NewMsg(subject)
		m.Header.Set("Nats-Msg-Id", id)
		m.Header.Set("Ami-Time", at.UTC().Format("2006-01-02T15:04:05.000000Z"))
		if reply, err := nc.RequestMsg(m, patience); err != nil || strings.Contains(string(reply.Data), "error") {
			t.Fatalf("%s: %v, %v", subject, reply, err)
		}
	}
	quiet := func(when string) {
		t.Helper()
		for _, ha := range []string{"on", "off"} {
			if got := check(ha); got != "" {
				t.Errorf("%s, HA=%s:\n%s", when, ha, got)
			}
		}
	}
	quiet("with nothing stored")
	const event, own = "ami.events.pbx1.Hangup", "pbx1.k3f9.1.00000000000000aa"
	stores(event, "b9.pbx1.k3f9.1", time.Now().Add(-2*besideFor))
	quiet("a while ago")
	if m, err := nc.Request("$JS.API.STREAM.PURGE.AMI_EVENTS", nil, patience); err != nil || strings.Contains(string(m.Data), "error") {
		t.Fatalf("%v, %v", m, err) // else it would count as stored just now
	}
	stores(event, "b1.pbx1.k3f9.2", time.Now())
	stores(event, own, time.Now())
	quiet("by this one")
	if reply, err := nc.Request(event, []byte("{}"), patience); err != nil || strings.Contains(string(reply.Data), "error") {
		t.Fatalf("%v, %v", reply, err)
	}
	quiet("by somebody who is no bridge")
	stores(event, "b9.pbx1.k3f9.3", time.Now())
	stores(event, "pbx1.k3f9.2.00000000000000aa", time.Now()) // the last is another one's
	for _, ha := range []string{"on", "off"} {
		wantLines(t, check(ha), "FAIL  b9, a bridge without BRIDGE_HA=on, publishes pbx1: beside this one it would have each event stored twice. End it first, or")
	}
	stores("ami.terms.pbx1", "t1", time.Now())
	wantLines(t, check("off"), "FAIL  bridges with BRIDGE_HA=on publish pbx1: this one, without it, would have each event stored twice. Set BRIDGE_HA=on, or end them first")
	if got := check("on"); strings.Contains(got, "bridges with") {
		t.Errorf("one that shares it too:\n%s", got)
	}
}

// What NATS does not let check ask it is told at once, and says so.
func TestCheck_WhoPublishesMayNotBeAsked(t *testing.T) {
	s := load(t, envtest.One("BRIDGE_NATS_URL="+streamsNATS(t, nil, "$JS.API.STREAM.INFO.AMI_EVENTS"), "BRIDGE_NATS_USER=bridge", "BRIDGE_NATS_PASSWORD=b", "BRIDGE_HTTP_ADDR=")...)
	const want = "whether another bridge publishes pbx1 is not known: NATS does not let the bridge publish to $JS.API.STREAM.INFO.AMI_EVENTS"
	found := checkNATS(t.Context(), s, noTime).found
	if !slices.ContainsFunc(found, func(f finding) bool { return f.Verdict == "note" && strings.HasPrefix(f.Text, want) }) {
		t.Errorf("check says %v", found)
	}
}
