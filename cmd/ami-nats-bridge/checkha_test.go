package main

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/standby"
	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/env"
	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/env/envtest"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// noTime is for how long others are listened to where none speaks.
const noTime = time.Millisecond

// ofBridges is what check says of NATS where bridges share servers, and no other speaks.
func ofBridges(t *testing.T, url string, set ...string) string {
	t.Helper()
	return ofOthers(t, sharing(t, url, set...), noTime)
}

// sharing are the settings of a bridge b1 that shares servers.
func sharing(t *testing.T, url string, set ...string) *env.Settings {
	t.Helper()
	return load(t, envtest.One(append(set, "BRIDGE_NATS_URL="+url, "BRIDGE_NATS_USER=bridge", "BRIDGE_NATS_PASSWORD=b", "BRIDGE_HA=on", "BRIDGE_NODE=b1")...)...)
}

// ofOthers is what check says of NATS when it has listened to others for so long.
func ofOthers(t *testing.T, s *env.Settings, listen time.Duration) string {
	var out strings.Builder
	for _, f := range checkNATS(t.Context(), s, listen).found {
		fmt.Fprintf(&out, "%s  %s\n", f.Verdict, f.Text)
	}
	return out.String()
}

// A stream that bridges cannot share, and that this one may not change, FAILs with the
// subject to add; one that the bridge makes or changes does not.
func TestCheck_AStreamThatBridgesCannotShare(t *testing.T) {
	const adds = "FAIL  stream AMI_EVENTS has no subject ami.terms.>, by which bridges agree who leads (%s): nats stream edit AMI_EVENTS --subjects=ami.events.>,ami.terms.>"
	events := jetstream.StreamConfig{Name: "AMI_EVENTS", Subjects: []string{"ami.events.>"}, AllowBatchPublish: true}
	slow := jetstream.StreamConfig{Name: "AMI_EVENTS", Subjects: []string{"ami.events.>", "ami.terms.>"}, AllowDirect: true}

	url := streamsNATS(t, nil)
	if got := ofBridges(t, url, "BRIDGE_HTTP_ADDR="); strings.Contains(got, "FAIL") {
		t.Errorf("a stream that is to be made:\n%s", got)
	}
	makes(t, url, events)
	if got := ofBridges(t, url, "BRIDGE_HTTP_ADDR="); strings.Contains(got, "FAIL") {
		t.Errorf("a stream that is to be changed:\n%s", got)
	}
	wantLines(t, ofBridges(t, url, "BRIDGE_HTTP_ADDR=", "BRIDGE_STREAMS=verify"), fmt.Sprintf(adds, "BRIDGE_STREAMS=verify changes nothing"))

	url = streamsNATS(t, nil, "$JS.API.STREAM.UPDATE.>")
	makes(t, url, events)
	wantLines(t, ofBridges(t, url, "BRIDGE_HTTP_ADDR="), fmt.Sprintf(adds, "NATS does not let the bridge publish to $JS.API.STREAM.UPDATE.AMI_EVENTS"))

	url = streamsNATS(t, nil)
	makes(t, url, slow)
	wantLines(t, ofBridges(t, url, "BRIDGE_HTTP_ADDR=", "BRIDGE_STREAMS=verify"), "FAIL  stream AMI_EVENTS has no fast ingest", "nats stream edit AMI_EVENTS --allow-fast")
}

// Other bridges are named. One of this one's name FAILs, unless it is this one.
func TestCheck_OtherBridges(t *testing.T) {
	here := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, `{"bridges":[{"node":"b1"}]}`) }))
	defer here.Close()
	nowhere, at := "BRIDGE_HTTP_ADDR=", "BRIDGE_HTTP_ADDR="+strings.TrimPrefix(here.URL, "http://")
	wantLines(t, ofBridges(t, streamsNATS(t, nil), nowhere), "note  no other bridge is heard on ami.ha.>: nobody would take over")

	var group sync.WaitGroup // each listens as long as check does, all of them at once
	defer group.Wait()
	for _, test := range []struct {
		http   string
		speak  [][2]string // a node and its incarnation
		wanted []string
	}{
		{nowhere, [][2]string{{"b1", "x"}, {"b2", "y"}}, []string{"ok  other bridges that share servers: b2\n",
			"FAIL  a bridge called b1 runs already, and it is not this one as far as BRIDGE_HTTP_ADDR tells: give each its own BRIDGE_NODE"}},
		{at, [][2]string{{"b1", "x"}, {"b2", "y"}}, []string{"ok  this bridge, b1, runs\n"}},
		{at, [][2]string{{"b1", "x"}, {"b2", "y"}, {"b1", "z"}}, []string{"FAIL  2 bridges called b1 run: give each its own BRIDGE_NODE"}},
	} {
		url := streamsNATS(t, nil)
		nc := dialNATS(t, url)
		for _, one := range test.speak {
			speaks(t, nc, one[0], one[1])
		}
		s := sharing(t, url, test.http)
		group.Go(func() { wantLines(t, ofOthers(t, s, bridgesFor), test.wanted...) })
	}
}

// speaks publishes heartbeats of a bridge until the test ends.
func speaks(t *testing.T, nc *nats.Conn, node, incarnation string) {
	t.Helper()
	data, err := (&standby.Heartbeat{Node: node, Incarnation: incarnation, Seq: 1, Weight: 1}).Encode()
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	t.Cleanup(group.Wait)
	group.Go(func() {
		ticker := time.NewTicker(20 * time.Millisecond)
		defer ticker.Stop()
		for t.Context().Err() == nil {
			if err := nc.Publish("ami.ha."+node, data); err != nil {
				t.Error(err)
			}
			<-ticker.C
		}
	})
}

// Who may not hear the others FAILs.
func TestCheck_BridgesThatAreNotHeard(t *testing.T) {
	url := natstest.Serve(t, func(o *server.Options) {
		o.NoAuthUser = "bridge"
		o.Users = []*server.User{{Username: "bridge", Password: "b", Permissions: &server.Permissions{Subscribe: &server.SubjectPermission{Deny: []string{"ami.ha.>"}}}}}
	}).ClientURL()
	wantLines(t, ofOthers(t, sharing(t, url, "BRIDGE_HTTP_ADDR="), bridgesFor), "FAIL  may not subscribe to ami.ha.>: this bridge would not hear the others")
}

// Two users of one Asterisk have to read the same, as far as the bridge asks for it.
func TestCheck_ComparesTheUsersOfTwoBridges(t *testing.T) {
	_, addr := simulate(t, amisim.Config{Users: map[string]string{"bridge": envtest.Canary, "same": "x", "less": "x", "other": "x"}, Reads: map[string]string{
		"bridge": "system,call,user", "same": "user,call,system", "less": "system,call", "other": "system,call,agent",
	}})
	says := func(good bool, events string, users ...string) string {
		t.Helper()
		s := load(t, envtest.One("BRIDGE_SERVER_PBX1_ADDR="+addr, "BRIDGE_AMI_EVENTS="+events, "BRIDGE_EMBEDDED_NATS_ADDR=127.0.0.1:0")...)
		var out bytes.Buffer
		got, err := (&checkCmd{OtherUser: users}).check(t.Context(), stdio{out: &out}, s)
		if err != nil || got != good {
			t.Errorf("good is %v (%v):\n%s", got, err, &out)
		}
		return out.String()
	}
	wantLines(t, says(true, "on", "bridge", "same"), "ok    user same of another bridge may read the same classes")
	wantLines(t, says(false, "on", "same", "less"), "FAIL  user less of another bridge does not read what bridge does: read= of less lacks user, that of bridge lacks -")
	wantLines(t, says(false, "on", "other"), "read= of other lacks user, that of bridge lacks agent. Bridges that share a server want the same")
	wantLines(t, says(true, "call", "less", "other"), "user less of another bridge may read the same", "user other of another bridge may read the same")
	wantLines(t, says(false, "on", "nobody"), "FAIL  user nobody of another bridge: nothing is said of")
	wantLines(t, says(false, "on", "a b; core stop now"), `FAIL  --other-user "a b; core stop now": a name with such characters`)
}
